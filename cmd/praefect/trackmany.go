package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
)

const (
	flagInput = "input-path"
	// lineMax bounds a line of the input.
	lineMax = 1 << 20
)

var errInvalidEntries = errors.New("invalid entries found, aborting")

func trackRepositoriesCommand() *cli.Command {
	return &cli.Command{
		Name:  "track-repositories",
		Usage: "take many repositories that are on disks into the database",
		Description: "Each line of the input is a JSON object with relative_path, replica_path, " +
			"virtual_storage and authoritative_storage. Nothing is changed unless all are valid.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagInput, Usage: "`FILE` with the lines", Required: true},
			replicateFlag(),
		},
		Action: subcommand(trackRepositories),
	}
}

func trackRepositories(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	path := cmd.String(flagInput)
	lines, err := readLines(path)
	if err != nil {
		return err
	}
	ctx = named(ctx, cmd.Name)

	return withNodes(ctx, config, func(nodes *nodes, store *postgres.Store) error {
		t := newTracker(cmd, config, nodes, store)
		t.say("Validating repository information in %q\n", path)
		requests, err := t.validate(ctx, path, lines)
		if err != nil {
			return err
		}
		t.say("All repository details are correctly formatted\n")
		t.say("Tracking %d repositories in Praefect DB...\n", len(requests))
		for _, request := range requests {
			if err := t.track(ctx, request); err != nil {
				return fmt.Errorf("tracking repository %q: %w", request.RelativePath, err)
			}
		}

		return t.err
	})
}

func readLines(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	defer file.Close() //nolint:errcheck // It was only read.

	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, lineMax)
	var lines []string
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no repository information found in %q", path)
	}

	return lines, nil
}

// entry is one line of the input and what is wrong with it.
type entry struct {
	trackRequest
	line    int
	reasons []string
}

func (t *tracker) validate(
	ctx context.Context, path string, lines []string,
) ([]trackRequest, error) {
	entries, seen := make([]entry, len(lines)), map[[2]string][]int{}
	for i, line := range lines {
		e := &entries[i]
		e.line = i + 1
		if err := json.Unmarshal([]byte(line), &e.trackRequest); err != nil {
			e.reasons = append(e.reasons, err.Error())
			continue
		}
		e.require()
		if e.RelativePath != "" {
			key := [2]string{e.VirtualStorage, e.RelativePath}
			seen[key] = append(seen[key], e.line)
		}
	}
	var (
		invalid  []entry
		requests []trackRequest
	)
	for _, e := range entries {
		if same := seen[[2]string{e.VirtualStorage, e.RelativePath}]; len(same) > 1 {
			e.reasons = append(e.reasons,
				fmt.Sprintf("duplicate entries for relative_path, line %v", same))
		}
		if len(e.reasons) == 0 {
			e.reasons = t.object(ctx, e.trackRequest)
		}
		if len(e.reasons) > 0 {
			invalid = append(invalid, e)
		}
		requests = append(requests, e.trackRequest)
	}
	if len(invalid) > 0 {
		t.complain(path, invalid)

		return nil, errors.Join(t.err, errInvalidEntries)
	}

	return requests, nil
}

// require names the keys that are missing.
func (e *entry) require() {
	for _, key := range []struct{ name, value string }{
		{flagRelativePath, e.RelativePath},
		{flagReplicaPath, e.ReplicaPath},
		{flagVirtualStorage, e.VirtualStorage},
		{flagAuthoritative, e.AuthoritativeStorage},
	} {
		if strings.TrimSpace(key.value) == "" {
			e.reasons = append(e.reasons, fmt.Sprintf("%q is a required parameter", key.name))
		}
	}
}

// object looks at database and disk.
func (t *tracker) object(ctx context.Context, request trackRequest) []string {
	if err := t.known(request); err != nil {
		return []string{err.Error()}
	}
	_, err := t.store.Lookup(ctx, request.key())
	switch {
	case err == nil:
		return []string{"repository is already tracked by Praefect"}
	case !errors.Is(err, coordinator.ErrRepositoryNotFound):
		return []string{err.Error()}
	}
	exists, err := t.nodes.exists(
		ctx, request.VirtualStorage, request.AuthoritativeStorage, request.ReplicaPath)
	switch {
	case err != nil:
		return []string{fmt.Sprintf("checking repository on disk: %s", err)}
	case !exists:
		return []string{"not a valid git repository"}
	}

	return nil
}

func (t *tracker) complain(path string, invalid []entry) {
	t.say("Found %d invalid request(s) in %q:\n", len(invalid), path)
	for _, e := range invalid {
		t.say("  line %d, relative_path: %q, replica_path: %q\n",
			e.line, e.RelativePath, e.ReplicaPath)
		for _, reason := range e.reasons {
			t.say("    %s\n", reason)
		}
	}
}
