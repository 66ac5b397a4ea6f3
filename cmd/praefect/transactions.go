package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
)

const (
	flagProblems        = "problems"
	transactionsDefault = 20
)

func transactionsCommand() *cli.Command {
	return &cli.Command{
		Name:  "transactions",
		Usage: "show what became of recent writes, and why replicas were outdated",
		Description: "The newest first: each write with the votes of every node, what became of " +
			"each replica and why, and what happened to replicas since: elections, recoveries, " +
			"repairs. It is read from the database, so it has the writes of all proxies, and " +
			"those of proxies that are gone. The newest 50,000 ordinary entries are kept, and as " +
			"many in which a replica fell behind or came back.",
		Flags: []cli.Flag{
			virtualStorageFlag(false), relativePathFlag(false),
			&cli.BoolFlag{
				Name:  flagProblems,
				Usage: "leave out writes on which all nodes agreed, and those that were refused",
			},
			&cli.IntFlag{
				Name: flagLimit, Value: transactionsDefault, Usage: "list at most so many",
			},
			jsonFlag(),
		},
		Action: subcommand(transactions),
	}
}

func transactions(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	limit, err := limitOf(cmd)
	if err != nil {
		return err
	}
	query := postgres.EntryQuery{
		Key: coordinator.Key{
			VirtualStorage: coordinator.VirtualStorage(cmd.String(flagVirtualStorage)),
			RelativePath:   cmd.String(flagRelativePath),
		},
		Notable: cmd.Bool(flagProblems), Limit: limit,
	}
	if query.Key.RelativePath != "" && query.Key.VirtualStorage == "" {
		return errors.New("virtual storage is required with relative path")
	}

	return withStore(ctx, config, func(store *postgres.Store) error {
		found, err := store.Entries(ctx, query)
		if err != nil {
			return err
		}
		out := cmd.Root().Writer
		switch {
		case cmd.Bool(flagJSON):
			return sayJSON(out, toldEntries(found))
		case len(found) == 0:
			return say(out, "Nothing is known of any write here.\n")
		}

		return sayEntries(out, found)
	})
}

// toldEntry is what programs are told about an entry.
type toldEntry struct {
	At             time.Time `json:"at"`
	Event          string    `json:"event"`
	RepositoryID   int64     `json:"repository_id"`
	VirtualStorage string    `json:"virtual_storage"`
	RelativePath   string    `json:"relative_path"`
	Proxy          string    `json:"proxy"`
	Problem        bool      `json:"problem"`
	coordinator.EntryDetails
}

func toldEntries(found []postgres.KeptEntry) []toldEntry {
	told := []toldEntry{}
	for _, entry := range found {
		if entry.Details.Replicas == nil {
			entry.Details.Replicas = []coordinator.EntryReplica{}
		}
		told = append(told, toldEntry{
			At: entry.At.UTC(), Event: string(entry.Event),
			RepositoryID:   int64(entry.Repository),
			VirtualStorage: string(entry.Key.VirtualStorage),
			RelativePath:   entry.Key.RelativePath, Proxy: entry.Proxy,
			Problem: entry.Notable, EntryDetails: entry.Details,
		})
	}

	return told
}

// sayEntries prints a paragraph an entry.
func sayEntries(out io.Writer, found []postgres.KeptEntry) error {
	p := &printer{out: out}
	for i, entry := range found {
		if i > 0 {
			p.say("\n")
		}
		p.say("%s  %s\n", entry.At.UTC().Format("2006-01-02 15:04:05.000 MST"), headline(entry))
		p.say("  %s/%s\n", entry.Key.VirtualStorage, entry.Key.RelativePath)
		p.say("  %s\n", circumstances(entry))
		if entry.Details.Cause != "" {
			p.say("  because: %s\n", entry.Details.Cause)
		}
		sayReplicas(p, entry.Details)
	}

	return p.err
}

// headline says in a few words what happened.
func headline(entry postgres.KeptEntry) string {
	details := entry.Details
	switch entry.Event {
	case coordinator.EventWrite:
		return map[string]string{
			"none":     "write not made: nothing was changed",
			"recorded": "write made",
			"partial":  "write made in part",
			"unknown":  "write in doubt: it may be there or not",
		}[details.Outcome]
	case coordinator.EventConfirmation:
		return "replica confirmed late, and is current"
	case coordinator.EventElection:
		return fmt.Sprintf("primary replaced: %s leads instead of %s",
			details.Primary, details.Before)
	case coordinator.EventRecovery:
		return "write that its proxy had left behind is decided"
	case coordinator.EventComparison:
		return "replicas were compared, and decided about"
	case coordinator.EventRepair:
		return "replica repaired"
	case coordinator.EventLoss:
		return "replica is gone from its disk"
	case coordinator.EventOperator:
		return "data loss accepted by an operator"
	case coordinator.EventSurplus:
		return "replica removed that is not assigned"
	}

	return string(entry.Event)
}

// circumstances says where an entry comes from, and how to find more in the logs.
func circumstances(entry postgres.KeptEntry) string {
	details := entry.Details
	text := "repository " + fmt.Sprint(int64(entry.Repository))
	if details.Generation > 0 {
		text += fmt.Sprintf(", generation %d", details.Generation)
	}
	if details.Writes > 1 {
		text += fmt.Sprintf(" after %d writes in one call", details.Writes)
	}
	if details.Before != "" && entry.Event != coordinator.EventElection {
		text += fmt.Sprintf(", primary now %s instead of %s", details.Primary, details.Before)
	}
	var facts strings.Builder
	for _, fact := range []struct{ before, value string }{
		{", by ", details.Method},
		{", correlation ", details.Correlation},
		{", proxy ", entry.Proxy},
	} {
		if fact.value != "" {
			facts.WriteString(fact.before + fact.value)
		}
	}

	return text + facts.String()
}

// sayReplicas prints a line a replica, in columns.
func sayReplicas(p *printer, details coordinator.EntryDetails) {
	if p.err != nil {
		return
	}
	columns := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	lines := &printer{out: columns}
	for _, replica := range details.Replicas {
		lines.say("    %s\t%s\t%s\t%s\n",
			replica.Storage, replica.Role, votesOf(replica), becameOf(replica))
	}
	p.err = errors.Join(lines.err, columns.Flush())
}

func votesOf(replica coordinator.EntryReplica) string {
	switch {
	case replica.Votes == 0 && replica.Role != "" && replica.Role != "left out":
		return "no vote"
	case replica.Votes == 0:
		return ""
	case replica.Votes == 1:
		return "1 vote, " + replica.Evidence
	default:
		return fmt.Sprintf("%d votes, %s", replica.Votes, replica.Evidence)
	}
}

func becameOf(replica coordinator.EntryReplica) string {
	became := string(replica.Became)
	if replica.Became == coordinator.BecameOutdated {
		became = "OUTDATED"
	}
	if replica.Reason == "" {
		return became
	}

	return became + ": " + replica.Reason
}
