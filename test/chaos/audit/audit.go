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
	Waiting func(unresolved, diverged []string)
}

// Result is what was found.
type Result struct {
	// Unresolved is what had not settled in time, Diverged what differs or should not be there.
	Unresolved, Diverged []string
	// Repositories are those that are there, Replicas what is on the disks by replica path and
	// storage.
	Repositories []Repository
	Replicas     map[string]map[string]Replica
}

// Await waits until everything has settled, or until the context ends, and then looks at
// everything.
func (a *Auditor) Await(ctx context.Context, patience time.Duration) (Result, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	var result Result
	for looks := 1; ; looks++ {
		snapshot, err := a.Metadata.Look(ctx)
		if err != nil {
			return Result{}, err
		}
		result = Result{
			Unresolved: snapshot.Unsettled(len(a.Nodes)), Repositories: snapshot.Repositories,
		}
		if result.Diverged, err = a.remains(snapshot); err != nil {
			return Result{}, err
		}
		if len(result.Unresolved)+len(result.Diverged) == 0 || waiting.Err() != nil {
			break
		}
		if looks%tellEvery == 0 {
			a.Waiting(result.Unresolved, result.Diverged)
		}
		select {
		case <-waiting.Done():
		case <-time.After(poll):
		}
	}

	if err := a.compare(ctx, &result); err != nil {
		return Result{}, err
	}

	return result, nil
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

// compare reads all replicas and adds what is wrong with them.
func (a *Auditor) compare(ctx context.Context, result *Result) error {
	result.Replicas = map[string]map[string]Replica{}
	var mu sync.Mutex // guards the result
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, r := range result.Repositories {
		if r.State != Ready {
			continue
		}
		group.Go(func() error {
			replicas, wrong := a.read(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			result.Replicas[r.Replica] = replicas
			result.Diverged = append(result.Diverged, wrong...)

			return ctx.Err()
		})
	}
	err := group.Wait()
	slices.Sort(result.Diverged)

	return err
}

// read reads the replicas of a repository and says what is wrong with them. Those that are recorded
// as outdated need not be equal.
func (a *Auditor) read(ctx context.Context, r Repository) (map[string]Replica, []string) {
	replicas := map[string]Replica{}
	var wrong []string
	first := ""
	for _, storage := range slices.Sorted(maps.Keys(r.Replicas)) {
		if r.Replicas[storage] != r.Generation {
			continue
		}
		replica, err := a.readFrom(ctx, r, storage)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s on %s: %v", r.Path, storage, err))

			continue
		}
		replicas[storage] = replica
		if replica.Fsck != "" {
			wrong = append(wrong, fmt.Sprintf("%s on %s: %s", r.Path, storage, replica.Fsck))
		}
		if first == "" {
			first = storage
		}
		for _, difference := range replicas[first].differences(replica) {
			wrong = append(wrong, fmt.Sprintf("%s (%s) on %s and %s: %s",
				r.Path, r.Replica, first, storage, difference))
		}
	}

	return replicas, wrong
}

func (a *Auditor) readFrom(ctx context.Context, r Repository, storage string) (Replica, error) {
	for _, node := range a.Nodes {
		if node.Storage == storage {
			return readReplica(ctx, node.Path(r.Replica))
		}
	}

	return Replica{}, fmt.Errorf("%w: %s", cluster.ErrUnknownStorage, storage)
}
