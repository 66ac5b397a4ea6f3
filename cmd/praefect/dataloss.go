package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
)

const flagPartially = "partially-unavailable"

func datalossCommand() *cli.Command {
	return &cli.Command{
		Name:  "dataloss",
		Usage: "list repositories that are unavailable, or outdated on some storages",
		Description: "Asks the running Praefect for the repositories that no storage can serve. " +
			"The exit status is 0 whatever it finds.",
		Flags: []cli.Flag{
			virtualStorageFlag(false),
			&cli.BoolFlag{
				Name:  flagPartially,
				Usage: "also list those that are available, but not on all assigned storages",
			},
			jsonFlag(),
		},
		Action: subcommand(dataloss),
	}
}

func dataloss(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	virtuals := []string{cmd.String(flagVirtualStorage)}
	if virtuals[0] == "" {
		virtuals = nil
		for _, virtual := range config.VirtualStorages {
			virtuals = append(virtuals, virtual.Name)
		}
		slices.Sort(virtuals)
	}

	return askPraefect(config, func(client gitalypb.PraefectInfoServiceClient) error {
		report := lossReport{
			ctx: ctx, client: client, partially: cmd.Bool(flagPartially),
			printer: printer{out: cmd.Root().Writer},
		}
		if cmd.Bool(flagJSON) {
			return report.json(virtuals)
		}
		for _, virtual := range virtuals {
			if err := report.text(virtual); err != nil {
				return err
			}
		}

		return report.err
	})
}

// lossReport is one run of the command.
type lossReport struct {
	ctx       context.Context //nolint:containedctx // It is as long as the command.
	client    gitalypb.PraefectInfoServiceClient
	partially bool
	printer
}

// each calls a function with every message of the answer.
func (r *lossReport) each(virtual string, visit func(*gitalypb.DatalossResponse)) error {
	stream, err := r.client.Dataloss(r.ctx, &gitalypb.DatalossRequest{
		VirtualStorage: virtual, IncludePartiallyReplicated: r.partially,
	})
	for err == nil {
		var answer *gitalypb.DatalossResponse
		if answer, err = stream.Recv(); err == nil {
			visit(answer)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}

	return fmt.Errorf("getting response: %w", err)
}

func (r *lossReport) text(virtual string) error {
	r.say("Virtual storage: %s\n", virtual)
	found := false
	err := r.each(virtual, func(answer *gitalypb.DatalossResponse) {
		found = true
		r.say("  Repositories:\n")
		for _, repository := range answer.GetRepositories() {
			r.repository(repository)
		}
	})
	switch {
	case err != nil || found:
		return err
	case r.partially:
		r.say("  All repositories are fully available on all assigned storages!\n")
	default:
		r.say("  All repositories are available!\n")
	}

	return nil
}

func (r *lossReport) repository(repository *gitalypb.DatalossResponse_Repository) {
	unavailable, primary := "", repository.GetPrimary()
	if repository.GetUnavailable() {
		unavailable = " (unavailable)"
	}
	if primary == "" {
		primary = "No Primary"
	}
	r.say("    %s%s:\n", repository.GetRelativePath(), unavailable)
	r.say("      Primary: %s\n", primary)
	r.say("      In-Sync Storages:\n")
	for _, storage := range repository.GetStorages() {
		if storage.GetBehindBy() == 0 {
			r.say("        %s%s\n", storage.GetName(), suffix(storage))
		}
	}
	r.say("      Outdated Storages:\n")
	for _, storage := range repository.GetStorages() {
		if behind := storage.GetBehindBy(); behind > 0 {
			plural := ""
			if behind > 1 {
				plural = "s"
			}
			r.say("        %s is behind by %d change%s or less%s\n",
				storage.GetName(), behind, plural, suffix(storage))
		}
	}
}

func suffix(storage *gitalypb.DatalossResponse_Repository_Storage) string {
	text := ""
	if storage.GetAssigned() {
		text += ", assigned host"
	}
	if !storage.GetHealthy() {
		text += ", unhealthy"
	}

	return text
}

// Losses as programs read them.
type (
	virtualLosses struct {
		VirtualStorage string `json:"virtual_storage"`
		Repositories   []loss `json:"repositories"`
	}
	loss struct {
		RelativePath string        `json:"relative_path"`
		Unavailable  bool          `json:"unavailable"`
		Primary      string        `json:"primary"`
		Storages     []lossStorage `json:"storages"`
	}
	lossStorage struct {
		Storage      string `json:"storage"`
		BehindBy     int64  `json:"behind_by"`
		Assigned     bool   `json:"assigned"`
		Healthy      bool   `json:"healthy"`
		ValidPrimary bool   `json:"valid_primary"`
	}
)

func (r *lossReport) json(virtuals []string) error {
	all := []virtualLosses{}
	for _, virtual := range virtuals {
		losses := virtualLosses{VirtualStorage: virtual, Repositories: []loss{}}
		err := r.each(virtual, func(answer *gitalypb.DatalossResponse) {
			for _, repository := range answer.GetRepositories() {
				losses.Repositories = append(losses.Repositories, lossFrom(repository))
			}
		})
		if err != nil {
			return err
		}
		all = append(all, losses)
	}

	return sayJSON(r.out, all)
}

func lossFrom(repository *gitalypb.DatalossResponse_Repository) loss {
	found := loss{
		RelativePath: repository.GetRelativePath(), Unavailable: repository.GetUnavailable(),
		Primary: repository.GetPrimary(), Storages: []lossStorage{},
	}
	for _, storage := range repository.GetStorages() {
		found.Storages = append(found.Storages, lossStorage{
			Storage: storage.GetName(), BehindBy: storage.GetBehindBy(),
			Assigned: storage.GetAssigned(), Healthy: storage.GetHealthy(),
			ValidPrimary: storage.GetValidPrimary(),
		})
	}

	return found
}
