package audit

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"praefect/test/cluster"
)

const (
	// poll is how often is looked whether everything has settled.
	poll = 500 * time.Millisecond
	// tellEvery is how many looks apart is told what has not.
	tellEvery = 20
)

// Auditor looks at a cluster.
type Auditor struct {
	Metadata *Metadata
	Nodes    []*cluster.Node
	// Waiting is told now and then what has not settled yet.
	Waiting func(unresolved []string)
}

// Result is what was found.
type Result struct {
	// Unresolved is what had not settled in time, or was still there, Diverged what differs.
	Unresolved, Diverged []string
	// Repositories are those that are there, Replicas what is on the disks by replica path and
	// storage.
	Repositories []Repository
	Replicas     map[string]map[string]Replica
}

// Await waits until everything has settled, or until the context ends, and then looks at
// everything.
func (a *Auditor) Await(ctx context.Context, patience time.Duration) (Result, error) {
	result, err := a.settle(ctx, patience)
	if err != nil {
		return Result{}, err
	}

	found, err := a.compare(ctx, result.Repositories, fsck)
	if err != nil {
		return Result{}, err
	}
	result.Replicas = map[string]map[string]Replica{}
	for _, r := range result.Repositories {
		result.Replicas[r.Replica] = found[r.Replica].replicas
		result.Diverged = append(result.Diverged, found[r.Replica].wrong...)
	}

	return result, nil
}

// settle waits until nothing is left to be settled, at most as long as the patience lasts, and
// returns what is.
func (a *Auditor) settle(ctx context.Context, patience time.Duration) (Result, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	for looks := 1; ; looks++ {
		result, err := a.look(ctx)
		if err != nil {
			return Result{}, err
		}
		if len(result.Unresolved) == 0 || waiting.Err() != nil {
			return result, nil
		}
		if looks%tellEvery == 0 {
			a.Waiting(result.Unresolved)
		}
		select {
		case <-waiting.Done():
		case <-time.After(poll):
		}
	}
}

// look says what is not settled: in the metadata, and on the disks, where something is left that
// somebody has to take away.
func (a *Auditor) look(ctx context.Context) (Result, error) {
	snapshot, err := a.Metadata.Look(ctx)
	if err != nil {
		return Result{}, err
	}
	left, err := a.remains(snapshot)
	if err != nil {
		return Result{}, err
	}

	return Result{
		Unresolved:   append(snapshot.Unsettled(len(a.Nodes)), left...),
		Repositories: snapshot.Repositories,
	}, nil
}

// Compare compares the replicas that are recorded as current, and says what differs. A repository
// that moved meanwhile is left out, and the comparison is not whole. As long as writes are open, it
// is not decided who is current: then it says that alone.
func (a *Auditor) Compare(ctx context.Context) (differences []string, whole bool, err error) {
	before, err := a.Metadata.Look(ctx)
	if err != nil {
		return nil, false, err
	}
	found, err := a.compare(ctx, before.Repositories, func(context.Context, *Replica, string) {})
	if err != nil {
		return nil, false, err
	}
	after, err := a.Metadata.Look(ctx)
	if err != nil {
		return nil, false, err
	}
	if len(before.Open) > 0 && len(after.Open) > 0 {
		return []string{"writes are open, and nobody ends them"}, false, nil
	}
	differences, whole = stood(before, after, found)

	return differences, whole, nil
}

// stood says what is wrong with the repositories that are the same before and after they were
// looked at, and whether these were all.
func stood(before, after Snapshot, found map[string]comparison) (wrong []string, whole bool) {
	whole = true
	for _, r := range before.Repositories {
		switch {
		case r.State != Ready: // Nobody has looked at it.
		case slices.ContainsFunc(after.Repositories, r.equal):
			wrong = append(wrong, found[r.Replica].wrong...)
		default:
			whole = false
		}
	}

	return wrong, whole
}

func (a *Auditor) remains(snapshot Snapshot) ([]string, error) {
	recorded := map[string]bool{}
	for _, r := range snapshot.Repositories {
		recorded[r.Replica] = true
	}
	var found []string
	for _, node := range a.Nodes {
		more, err := remains(node.Disk, recorded)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}

	return found, nil
}

// comparison is what was found about one repository.
type comparison struct {
	replicas map[string]Replica
	wrong    []string
}

// examine adds what else is to be known of a replica in a directory.
type examine func(ctx context.Context, replica *Replica, dir string)

// compare reads the replicas of all repositories, by replica path.
func (a *Auditor) compare(
	ctx context.Context, repositories []Repository, also examine,
) (map[string]comparison, error) {
	found := map[string]comparison{}
	var mu sync.Mutex // guards found
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, r := range repositories {
		if r.State != Ready {
			continue
		}
		group.Go(func() error {
			compared := a.compareReplicas(ctx, r, also)
			mu.Lock()
			defer mu.Unlock()
			found[r.Replica] = compared

			return ctx.Err()
		})
	}

	return found, group.Wait()
}

// compareReplicas reads the replicas of a repository and says what is wrong with them. Those that
// are recorded as outdated need not be equal.
func (a *Auditor) compareReplicas(ctx context.Context, r Repository, also examine) comparison {
	found := comparison{replicas: map[string]Replica{}}
	wrong := func(format string, args ...any) {
		found.wrong = append(found.wrong, fmt.Sprintf("%s (%s) on ", r.Path, r.Replica)+
			fmt.Sprintf(format, args...))
	}
	first := ""
	for _, storage := range slices.Sorted(maps.Keys(r.Replicas)) {
		if r.Replicas[storage] != r.Generation {
			continue
		}
		replica, err := a.readFrom(ctx, r, storage, also)
		if err != nil {
			wrong("%s: %v", storage, err)

			continue
		}
		found.replicas[storage] = replica
		if replica.Fsck != "" {
			wrong("%s: %s", storage, replica.Fsck)
		}
		if first == "" {
			first = storage
		}
		for _, difference := range found.replicas[first].differences(replica) {
			wrong("%s and %s: %s", first, storage, difference)
		}
	}

	return found
}

func (a *Auditor) readFrom(
	ctx context.Context, r Repository, storage string, also examine,
) (Replica, error) {
	for _, node := range a.Nodes {
		if node.Storage != storage {
			continue
		}
		dir := node.Path(r.Replica)
		replica, err := readReplica(ctx, dir)
		if err == nil {
			also(ctx, &replica, dir)
		}

		return replica, err
	}

	return Replica{}, fmt.Errorf("%w: %s", cluster.ErrUnknownStorage, storage)
}
