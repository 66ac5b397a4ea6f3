package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
)

func acceptDatalossCommand() *cli.Command {
	return &cli.Command{
		Name:  "accept-dataloss",
		Usage: "make one replica of a repository the one that counts",
		Description: "Gives up what other replicas may have that this one has not; they are " +
			"replaced by copies of it. Says nothing when it succeeds.",
		Flags: []cli.Flag{
			virtualStorageFlag(true), relativePathFlag(true),
			&cli.StringFlag{
				Name: flagAuthoritative, Usage: "`STORAGE` whose replica counts", Required: true,
			},
		},
		Action: subcommand(acceptDataloss),
	}
}

func acceptDataloss(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	return askPraefect(config, func(client gitalypb.PraefectInfoServiceClient) error {
		_, err := client.SetAuthoritativeStorage(ctx, &gitalypb.SetAuthoritativeStorageRequest{
			VirtualStorage:       cmd.String(flagVirtualStorage),
			RelativePath:         cmd.String(flagRelativePath),
			AuthoritativeStorage: cmd.String(flagAuthoritative),
		})
		if err != nil {
			return fmt.Errorf("set authoritative storage: %w", err)
		}

		return nil
	})
}
