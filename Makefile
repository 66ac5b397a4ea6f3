# Every task of this project. `make` alone prints what there is.
# Logic does not live here: it is Go (cmd, test) or one of the small scripts in .ci.

GO                    ?= go
BIN                   := bin
GOLANGCI_LINT_VERSION := v2.15.0
LINT                  := $(BIN)/tools/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
GENERATE              := cd proxy/gitalypb/generate && GOFLAGS= GOWORK=off $(GO) run .

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build every binary into bin/
	$(GO) build -o $(BIN)/ ./cmd/...

.PHONY: demo
demo: build ## tell the story: three nodes, real pushes, two nodes killed and repaired (60 s)
	.ci/setup git postgresql
	$(BIN)/praefect-demo story

.PHONY: run
run: build ## start the same cluster, print where to push to, and stay until Ctrl-C
	.ci/setup git postgresql
	$(BIN)/praefect-demo run

.PHONY: test
test: ## every test, with the race detector; installs git, postgresql and gcc when it may
	.ci/setup git postgresql gcc
	$(GO) test -race -timeout 15m ./...

.PHONY: bench
bench: build ## measure reads, writes, clones and pushes, direct and through the proxy
	.ci/setup git postgresql
	$(GO) run ./test/bench -ours $(BIN)/praefect -other "$(PRAEFECT)"

.PHONY: verify
verify: $(LINT) ## format, generated code, modules, lint and the rules of test/tidy
	$(LINT) fmt --diff
	$(GENERATE) -check
	$(GO) mod tidy -diff
	$(LINT) run
	$(GO) test ./test/tidy

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt

.PHONY: lint
lint: $(LINT) ## run the linters alone
	$(LINT) run

.PHONY: generate
generate: ## write the generated code again (proxy/gitalypb)
	$(GENERATE)

.PHONY: clean
clean: ## remove what the other targets left in the tree
	rm -rf $(BIN) bench coverage.out

# Pinned here, built once per version; nothing is downloaded but Go modules.
$(LINT):
	GOBIN=$(abspath $(dir $@)) $(GO) install \
		github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
