package main

import (
	"context"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
)

func repairsCommand() *cli.Command {
	return &cli.Command{
		Name:  "repairs",
		Usage: "list replicas that need repair",
		Description: "Each outdated replica in the order in which they are repaired, with what " +
			"went wrong the last time.",
		Flags:  []cli.Flag{limitFlag(), jsonFlag()},
		Action: subcommand(repairs),
	}
}

// dueRepair is what programs are told about a replica that needs repair. Generation is -1 where
// there is none.
type dueRepair struct {
	RepositoryID     int64   `json:"repository_id"`
	VirtualStorage   string  `json:"virtual_storage"`
	RelativePath     string  `json:"relative_path"`
	Storage          string  `json:"storage"`
	Generation       int64   `json:"generation"`
	WantedGeneration int64   `json:"wanted_generation"`
	State            string  `json:"state"`
	Failures         int     `json:"failures"`
	LastError        string  `json:"last_error"`
	DueSeconds       float64 `json:"due_seconds"`
}

// repairState says in one word how a repair stands.
func repairState(repair postgres.DueRepair) string {
	switch {
	case repair.Joining:
		return "joining"
	case repair.Running:
		return "running"
	case repair.Settling:
		return "settling"
	case repair.Due > 0:
		return "postponed"
	default:
		return "due"
	}
}

func repairs(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	limit, err := limitOf(cmd)
	if err != nil {
		return err
	}

	return withStore(ctx, config, func(store *postgres.Store) error {
		due, err := store.DueRepairs(ctx, config.Cluster().Places(nil), limit)
		if err != nil {
			return err
		}
		out := cmd.Root().Writer
		told, rows := []dueRepair{}, [][]string{{
			"STATE", "DUE", "STORAGE", "GENERATION", "FAILURES", "REPOSITORY", "LAST_ERROR",
		}}
		for _, repair := range due {
			told = append(told, dueRepair{
				RepositoryID:   int64(repair.Repository),
				VirtualStorage: string(repair.Key.VirtualStorage),
				RelativePath:   repair.Key.RelativePath, Storage: string(repair.Storage),
				Generation: int64(repair.Generation), WantedGeneration: int64(repair.Wanted),
				State: repairState(repair), Failures: repair.Failures,
				LastError: repair.LastError, DueSeconds: repair.Due.Seconds(),
			})
			rows = append(rows, []string{
				repairState(repair), repair.Due.Round(time.Second).String(),
				string(repair.Storage),
				standing(int64(repair.Wanted), int64(repair.Generation)),
				strconv.Itoa(repair.Failures), repair.Key.String(), repair.LastError,
			})
		}
		switch {
		case cmd.Bool(flagJSON):
			return sayJSON(out, told)
		case len(due) == 0:
			return say(out, "No replica needs repair.\n")
		}

		return sayTable(out, rows)
	})
}
