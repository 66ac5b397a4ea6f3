package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
)

const flagStorage = "storage"

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "have replicas verified as soon as possible",
		Description: "Marks replicas as unverified: those of a repository, of a virtual storage, " +
			"or of one of its storages. The background verification must be enabled.",
		Flags: []cli.Flag{
			repositoryIDFlag(), virtualStorageFlag(false),
			&cli.StringFlag{Name: flagStorage, Usage: "name of the storage"},
		},
		Action: subcommand(verify),
	}
}

func verify(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	request, err := selection(cmd)
	if err != nil {
		return err
	}

	return askPraefect(config, func(client gitalypb.PraefectInfoServiceClient) error {
		answer, err := client.MarkUnverified(ctx, request)
		if err != nil {
			return fmt.Errorf("verify replicas: %w", err)
		}

		return say(cmd.Root().Writer, "%d replicas marked unverified\n",
			answer.GetReplicasMarked())
	})
}

func selection(cmd *cli.Command) (*gitalypb.MarkUnverifiedRequest, error) {
	id := cmd.Int64(flagRepositoryID)
	virtual, storage := cmd.String(flagVirtualStorage), cmd.String(flagStorage)

	switch {
	case id != 0 && (virtual != "" || storage != ""):
		return nil, errors.New(
			"virtual storage and storage can't be provided with a repository ID")
	case id != 0:
		return &gitalypb.MarkUnverifiedRequest{
			Selector: &gitalypb.MarkUnverifiedRequest_RepositoryId{RepositoryId: id},
		}, nil
	case storage != "" && virtual == "":
		return nil, errors.New("virtual storage must be passed with storage")
	case storage != "":
		return &gitalypb.MarkUnverifiedRequest{
			Selector: &gitalypb.MarkUnverifiedRequest_Storage_{
				Storage: &gitalypb.MarkUnverifiedRequest_Storage{
					VirtualStorage: virtual, Storage: storage,
				},
			},
		}, nil
	case virtual != "":
		return &gitalypb.MarkUnverifiedRequest{
			Selector: &gitalypb.MarkUnverifiedRequest_VirtualStorage{VirtualStorage: virtual},
		}, nil
	default:
		return nil, errors.New(
			"(repository id), (virtual storage) or (virtual storage, storage) required")
	}
}
