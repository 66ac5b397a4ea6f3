package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
)

const (
	flagLimit    = "limit"
	limitDefault = 100
)

func limitFlag() cli.Flag {
	return &cli.IntFlag{Name: flagLimit, Value: limitDefault, Usage: "list at most so many"}
}

// limitOf returns how many to list at most.
func limitOf(cmd *cli.Command) (int, error) {
	limit := cmd.Int(flagLimit)
	if limit < 1 {
		return 0, fmt.Errorf("limit has to be 1 or more: %d", limit)
	}

	return limit, nil
}

func intentsCommand() *cli.Command {
	return &cli.Command{
		Name:  "intents",
		Usage: "list writes that are being committed or decided",
		Description: "Each held turn with the proxy that holds it, since when, and whether it " +
			"was left to recovery. One that is older than a minute needs somebody to look.",
		Flags:  []cli.Flag{limitFlag(), jsonFlag()},
		Action: subcommand(intents),
	}
}

// heldTurn is what programs are told about a turn.
type heldTurn struct {
	RepositoryID   int64    `json:"repository_id"`
	VirtualStorage string   `json:"virtual_storage"`
	RelativePath   string   `json:"relative_path"`
	Kind           string   `json:"kind"`
	Participants   []string `json:"participants"`
	Proxy          string   `json:"proxy"`
	State          string   `json:"state"`
	Adopter        string   `json:"adopter,omitempty"`
	Wanted         bool     `json:"wanted"`
	AgeSeconds     float64  `json:"age_seconds"`
}

// turnState says in one word how a turn stands.
func turnState(turn postgres.HeldTurn) string {
	switch {
	case turn.Adopter != "":
		return "adopted"
	case turn.Left:
		return "left"
	case !turn.Lives:
		return "abandoned"
	default:
		return "held"
	}
}

func intents(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	limit, err := limitOf(cmd)
	if err != nil {
		return err
	}

	return withStore(ctx, config, func(store *postgres.Store) error {
		turns, err := store.HeldTurns(ctx, limit)
		if err != nil {
			return err
		}
		out := cmd.Root().Writer
		told, rows := []heldTurn{}, [][]string{{
			"AGE", "STATE", "KIND", "PROXY", "PARTICIPANTS", "REPOSITORY",
		}}
		for _, turn := range turns {
			told = append(told, heldTurn{
				RepositoryID:   int64(turn.Repository),
				VirtualStorage: string(turn.Key.VirtualStorage),
				RelativePath:   turn.Key.RelativePath, Kind: turn.Kind,
				Participants: append([]string{}, turn.Participants...), Proxy: turn.Proxy,
				State: turnState(turn), Adopter: turn.Adopter, Wanted: turn.Wanted,
				AgeSeconds: turn.Age.Seconds(),
			})
			rows = append(rows, []string{
				turn.Age.Round(time.Millisecond).String(), turnState(turn), turn.Kind, turn.Proxy,
				strings.Join(turn.Participants, ","), turn.Key.String(),
			})
		}
		switch {
		case cmd.Bool(flagJSON):
			return sayJSON(out, told)
		case len(turns) == 0:
			return say(out, "No write is being committed or decided.\n")
		}

		return sayTable(out, rows)
	})
}
