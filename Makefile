# Every task of this project. `make` alone prints what there is.
# Logic does not live here: it is Go (cmd, test) or one of the small scripts in .ci.

GO                    ?= go
BIN                   := bin
GOLANGCI_LINT_VERSION := v2.15.0
LINT                  := $(BIN)/tools/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
GENERATE              := cd proxy/gitalypb/generate && GOFLAGS= GOWORK=off $(GO) run .

# What Debian has to provide; the race detector needs a C compiler.
PACKAGES              := ca-certificates git postgresql

# What stands between clients, proxies and databases in test/acceptance, and the tool of Prometheus.
SERVERS               := pgbouncer haproxy dnsmasq-base prometheus

# Tests that run whole clusters of processes: one package at a time, as each takes the whole machine, and
# without the race detector, which does not reach into processes.
CLUSTERS              := test/e2e test/interop test/acceptance

.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: packages
packages: ## install missing Debian packages, or say which; demo, run, test and bench do it
	.ci/setup $(PACKAGES)

.PHONY: build
build: ## build every binary into bin/, linked statically: they run on any distribution
	CGO_ENABLED=0 $(GO) build -o $(BIN)/ ./cmd/...

.PHONY: demo
demo: packages build ## three nodes, real pushes, two nodes killed and repaired (under a minute)
	$(BIN)/praefect-demo story

.PHONY: run
run: packages build ## start the same cluster, print where to push to, and stay until Ctrl-C
	$(BIN)/praefect-demo run

.PHONY: test
test: PACKAGES += gcc $(SERVERS)
test: packages ## every test: the code's with the race detector, then whole clusters
	$(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v $(CLUSTERS:%=-e /%$$))
	$(GO) test -race -tags failpoints,sabotage ./transaction/failpoint
	$(GO) test ./test/simulate/...
	$(GO) test -p 1 -timeout 30m $(CLUSTERS:%=./%)

.PHONY: acceptance
acceptance: PACKAGES += gcc $(SERVERS)
acceptance: packages ## prove what operators' documents state, with the real programs; ROW=T0[12] for some
	$(GO) run ./test/requirements -run '$(ROW)'

# SLACK multiplies the ten seconds that survivors may take, for machines that are too busy for the promise.
SLACK ?= 1

.PHONY: crashmatrix
crashmatrix: packages ## kill each process at each step of a write; CASE=recorded/proxy runs a part
	$(GO) run ./test/crash -run '$(CASE)' -slack $(SLACK)

.PHONY: tagged
tagged: ## build praefect with failpoints and with sabotage into bin/, for tests only
	$(GO) build -tags failpoints -o $(BIN)/praefect-failpoints ./cmd/praefect
	$(GO) build -tags sabotage -o $(BIN)/praefect-sabotage ./cmd/praefect

.PHONY: interop
interop: packages ## what GitLab does, on GITALY=/path/to/gitaly (an unmodified one) [GIT=/path/to/git]
	$(GO) run ./test/interop -gitaly "$(GITALY)" -git "$(GIT)" -run '$(CASE)'

.PHONY: bench
bench: packages build ## reads, writes, clones and pushes, direct and through the proxy; RUN=long_push
	$(GO) run ./test/bench -ours $(BIN)/praefect -other "$(PRAEFECT)" -run '$(RUN)'

# Of chaos and simulate: what follows from chance follows from SEED; PRAEFECT names another binary
# to run, PROGRAM what is broken (node: one node down all the time, availability is judged).
SEED    ?= 1
MINUTES ?= 2
PROXIES ?= 3
NODES   ?= 3
PROGRAM ?= everything

.PHONY: chaos
chaos: packages ## break a cluster under load and prove that it kept its promises (SEED, MINUTES)
	$(GO) run ./test/chaos -seed $(SEED) -minutes $(MINUTES) -proxies $(PROXIES) -nodes $(NODES) \
		-program $(PROGRAM) -praefect "$(PRAEFECT)"

# VARIANT names the only one to run.
.PHONY: chaos-sabotage
chaos-sabotage: packages ## the same against binaries with a rule left out: all must be caught
	$(GO) run ./test/chaos -sabotage -variant "$(VARIANT)" -seed $(SEED) \
		-proxies $(PROXIES) -nodes $(NODES)

SEEDS ?= 1000

.PHONY: simulate
simulate: ## thousands of clusters in one process, faults at every step (SEEDS, SEED); no set-up
	$(GO) run ./test/simulate -seeds $(SEEDS) -seed $(SEED)

.PHONY: simulate-sabotage
simulate-sabotage: ## the same with a rule left out: all must be caught
	$(GO) run -tags sabotage ./test/simulate -sabotage -seeds $(SEEDS) -seed $(SEED)

# SHORT=-short leaves out what takes minutes; WRITE=1 writes docs/model.md.
.PHONY: model
model: PACKAGES += spin gcc
model: packages ## explore the protocol exhaustively with spin
	$(GO) run ./test/model $(SHORT)

.PHONY: model-switches
model-switches: PACKAGES += spin gcc
model-switches: packages ## leave each rule out of the model: what it prevents must happen
	$(GO) run ./test/model -switches $(if $(WRITE),-write)

.PHONY: verify
verify: $(LINT) ## format, generated code, modules, lint and the rules of test/tidy
	$(LINT) fmt --diff
	$(GENERATE) -check
	$(GO) mod tidy -diff
	$(GO) vet -tags failpoints ./...
	$(GO) vet -tags sabotage ./...
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
