package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
)

const flagFactor = "replication-factor"

func replicationFactorCommand() *cli.Command {
	return &cli.Command{
		Name:  "set-replication-factor",
		Usage: "set how many storages a repository is on",
		Description: "The primary stays; other storages are added or taken away at random. " +
			"Replicas that are not needed any more are removed when the others are up to date. " +
			"New ones are filled in the background; the repository can be written meanwhile.",
		Flags: []cli.Flag{
			virtualStorageFlag(true), relativePathFlag(true),
			&cli.UintFlag{
				Name: flagFactor, Usage: "desired `NUMBER` of storages", Required: true,
			},
		},
		Action: subcommand(setReplicationFactor),
	}
}

func setReplicationFactor(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	factor := cmd.Uint(flagFactor)
	if factor > math.MaxInt32 {
		return fmt.Errorf("replication factor %d is above %d", factor, math.MaxInt32)
	}

	return askPraefect(config, func(client gitalypb.PraefectInfoServiceClient) error {
		answer, err := client.SetReplicationFactor(ctx, &gitalypb.SetReplicationFactorRequest{
			VirtualStorage:    cmd.String(flagVirtualStorage),
			RelativePath:      cmd.String(flagRelativePath),
			ReplicationFactor: int32(factor),
		})
		if err != nil {
			return err
		}

		return say(cmd.Root().Writer, "current assignments: %s\n",
			strings.Join(answer.GetStorages(), ", "))
	})
}
