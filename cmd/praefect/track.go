package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/proxy/replicate"
)

const (
	flagReplicaPath = "replica-path"
	trackPrefix     = "attempting to track repository in praefect database: "
)

func trackRepositoryCommand() *cli.Command {
	return &cli.Command{
		Name:  "track-repository",
		Usage: "take a repository that is on a disk into the database",
		Description: "The replica on the authoritative storage counts; the others are copied " +
			"from it by the running Praefect, or before the command ends with -" +
			flagReplicate + ".",
		Flags: []cli.Flag{
			virtualStorageFlag(true), relativePathFlag(true),
			&cli.StringFlag{
				Name: flagReplicaPath, Usage: "`PATH` of the repository on the disk",
				Required: true,
			},
			&cli.StringFlag{Name: flagAuthoritative, Usage: "`STORAGE` that has the repository"},
			replicateFlag(),
		},
		Action: subcommand(trackRepository),
	}
}

func replicateFlag() cli.Flag {
	return &cli.BoolFlag{
		Name: flagReplicate, Usage: "copy to the other storages before the command ends",
	}
}

// trackRequest is a repository to track. The names are those of the input file.
type trackRequest struct {
	RelativePath         string `json:"relative_path"`
	ReplicaPath          string `json:"replica_path"`
	VirtualStorage       string `json:"virtual_storage"`
	AuthoritativeStorage string `json:"authoritative_storage"`
}

func (r trackRequest) key() coordinator.Key {
	return coordinator.Key{
		VirtualStorage: coordinator.VirtualStorage(r.VirtualStorage),
		RelativePath:   r.RelativePath,
	}
}

func trackRepository(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	request := trackRequest{
		RelativePath:         cmd.String(flagRelativePath),
		ReplicaPath:          cmd.String(flagReplicaPath),
		VirtualStorage:       cmd.String(flagVirtualStorage),
		AuthoritativeStorage: cmd.String(flagAuthoritative),
	}
	if request.AuthoritativeStorage == "" {
		const known = "Required flag" // By scripts; the library's text comes with the help.

		return fmt.Errorf("%s %q not set", known, flagAuthoritative)
	}

	return withNodes(named(ctx, cmd.Name), config,
		func(nodes *nodes, store *postgres.Store) error {
			t := newTracker(cmd, config, nodes, store)

			return t.track(named(ctx, cmd.Name), request)
		})
}

// tracker tracks repositories.
type tracker struct {
	printer
	config    *configfile.Loaded
	nodes     *nodes
	store     *postgres.Store
	replicate bool
}

func newTracker(
	cmd *cli.Command, config *configfile.Loaded, nodes *nodes, store *postgres.Store,
) *tracker {
	return &tracker{
		printer: printer{out: cmd.Root().Writer}, config: config, nodes: nodes, store: store,
		replicate: cmd.Bool(flagReplicate),
	}
}

// track takes over one repository. Copies are made before anybody can write to it: it is not known
// until then.
func (t *tracker) track(ctx context.Context, request trackRequest) error {
	if err := t.known(request); err != nil {
		return fmt.Errorf(trackPrefix+"%w", err)
	}
	exists, err := t.nodes.exists(
		ctx, request.VirtualStorage, request.AuthoritativeStorage, request.ReplicaPath)
	if err != nil {
		t.say("checking if repository exists %q, %q\n",
			request.AuthoritativeStorage, request.ReplicaPath)
	}
	if !exists {
		return errors.New(trackPrefix + "authoritative repository does not exist")
	}
	if err := t.insert(ctx, request); err != nil {
		return fmt.Errorf(trackPrefix+"%w", err)
	}

	return t.err
}

// known says whether the configuration has the storages.
func (t *tracker) known(request trackRequest) error {
	i := slices.IndexFunc(t.config.VirtualStorages, func(v configfile.VirtualStorage) bool {
		return v.Name == request.VirtualStorage
	})
	if i < 0 {
		return fmt.Errorf("virtual storage %q not found", request.VirtualStorage)
	}
	if !slices.ContainsFunc(t.config.VirtualStorages[i].Nodes, func(n configfile.Node) bool {
		return n.Storage == request.AuthoritativeStorage
	}) {
		return fmt.Errorf("node %q not found", request.AuthoritativeStorage)
	}

	return nil
}

func (t *tracker) insert(ctx context.Context, request trackRequest) error {
	found, err := t.store.Lookup(ctx, request.key())
	if err == nil {
		return t.again(ctx, found)
	}
	if !errors.Is(err, coordinator.ErrRepositoryNotFound) {
		return err
	}
	tracking := t.config.Cluster().NewTracking(request.key(), request.ReplicaPath,
		coordinator.Storage(request.AuthoritativeStorage))
	others := slices.Clone(tracking.Assigned[1:])
	var failed error
	if t.replicate {
		failed = t.copy(ctx, &tracking, others)
	}
	if err := t.store.Track(ctx, tracking); err != nil {
		return fmt.Errorf("%s or its id is taken: %w", request.ReplicaPath, err)
	}
	t.say("Finished adding new repository to be tracked in praefect database.\n")
	for _, storage := range others {
		if slices.Contains(tracking.Present, storage) {
			t.say("Finished replicating repository to %q.\n", storage)
			continue
		}
		t.say("Added replication job to replicate repository to %q.\n", storage)
	}

	return failed
}

// again hastens the repair of a repository that is tracked already.
func (t *tracker) again(ctx context.Context, found coordinator.Repository) error {
	t.say("repository is already tracked in praefect database\n")
	delays := map[coordinator.Storage]time.Duration{}
	for _, replica := range found.Replicas {
		if replica.Assigned && !found.Current(replica.Storage) {
			delays[replica.Storage] = 0
			t.say("Added replication job to replicate repository to %q.\n", replica.Storage)
		}
	}

	return t.store.HastenRepair(ctx, found.ID, delays)
}

// copy makes copies on the other storages. Those that fail are left to repair.
func (t *tracker) copy(
	ctx context.Context, tracking *coordinator.Tracking, others []coordinator.Storage,
) error {
	copier, err := replicate.New(t.nodes)
	if err != nil {
		return fmt.Errorf("prepare copies: %w", err)
	}
	var errs []error
	for _, storage := range others {
		err := copier.Copy(ctx, replicate.Replica{
			VirtualStorage: string(tracking.Key.VirtualStorage),
			Storage:        string(tracking.Primary), Path: tracking.ReplicaPath,
		}, string(storage))
		if err != nil {
			errs = append(errs, fmt.Errorf("processing replication event for %q: %w",
				storage, err))
			continue
		}
		tracking.Present = append(tracking.Present, storage)
	}

	return errors.Join(errs...)
}
