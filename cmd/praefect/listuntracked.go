package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

const (
	flagDelimiter = "delimiter"
	flagOlderThan = "older-than"

	// olderThanDefault keeps out what is being created.
	olderThanDefault = 6 * time.Hour
	// walkBatch is how many paths one statement looks up.
	walkBatch = 16
)

func listUntrackedCommand() *cli.Command {
	return &cli.Command{
		Name:  "list-untracked-repositories",
		Usage: "list repositories on disks that Praefect knows nothing of",
		Description: "Looks through the disks of all nodes. Each repository is printed as a JSON " +
			"object with the path on its disk.",
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: flagDelimiter, Value: "\n", Usage: "`TEXT` behind each repository",
			},
			&cli.DurationFlag{
				Name: flagOlderThan, Value: olderThanDefault,
				Usage: "pass over what was changed later than so long `AGO`",
			},
			jsonFlag(),
		},
		Action: subcommand(listUntracked),
	}
}

// untracked is printed with its keys in the order of the alphabet.
type untracked struct {
	RelativePath   string `json:"relative_path"`
	Storage        string `json:"storage"`
	VirtualStorage string `json:"virtual_storage"`
}

func listUntracked(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	ctx = named(ctx, cmd.Name)
	search := &search{
		printer: printer{out: cmd.Root().Writer}, delimiter: cmd.String(flagDelimiter),
		before: time.Now().Add(-cmd.Duration(flagOlderThan)),
	}
	if cmd.Bool(flagJSON) {
		search.all = []untracked{}
	}

	return withNodes(ctx, config, func(nodes *nodes, store *postgres.Store) error {
		search.nodes, search.store = nodes, store
		for _, node := range nodes.Nodes() {
			if err := search.walk(ctx, node); err != nil {
				return fmt.Errorf("exec on %q/%q: %w", node.VirtualStorage, node.Storage, err)
			}
		}
		if search.all != nil {
			return sayJSON(search.out, search.all)
		}

		return search.err
	})
}

// search is one run of the command.
type search struct {
	printer
	nodes     *nodes
	store     *postgres.Store
	delimiter string
	before    time.Time
	said      bool
	// all is nil unless JSON is wanted, which is one document.
	all []untracked
}

// walk looks through the disk of one node.
func (s *search) walk(ctx context.Context, node backend.Node) error {
	conn, _ := s.nodes.Conn(node.VirtualStorage, node.Storage)
	stream, err := gitalypb.NewInternalGitalyClient(conn).WalkRepos(ctx,
		&gitalypb.WalkReposRequest{StorageName: node.Storage})
	if err != nil {
		return fmt.Errorf("walk: %w", err)
	}
	var batch []string
	for {
		found, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return s.report(ctx, node, batch)
		}
		if err != nil {
			return fmt.Errorf("walk: %w", err)
		}
		if found.GetModificationTime().AsTime().After(s.before) {
			continue
		}
		if batch = append(batch, found.GetRelativePath()); len(batch) < walkBatch {
			continue
		}
		if err := s.report(ctx, node, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
}

func (s *search) report(ctx context.Context, node backend.Node, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	unknown, err := s.store.Untracked(ctx, coordinator.Place{
		VirtualStorage: coordinator.VirtualStorage(node.VirtualStorage),
		Storage:        coordinator.Storage(node.Storage),
	}, paths)
	if err != nil {
		return err
	}
	for _, path := range unknown {
		found := untracked{path, node.Storage, node.VirtualStorage}
		if s.all != nil {
			s.all = append(s.all, found)
			continue
		}
		line, err := json.Marshal(found)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		if !s.said {
			s.said = true
			s.say("The following repositories were found on disk, " +
				"but missing from the tracking database:\n")
		}
		s.say("%s%s", line, s.delimiter)
	}

	return s.err
}
