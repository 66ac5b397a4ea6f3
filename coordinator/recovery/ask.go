package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"praefect/coordinator"
)

// answer is what a replica's node said, or why it did not.
type answer struct {
	digest string
	err    error
}

// inquiry asks the nodes of one repository.
type inquiry struct {
	*Worker
	repository coordinator.Repository
	kind       coordinator.WriteKind
	// comparable says that what equal digests stand for is equal.
	comparable bool
}

// inquire prepares to ask what a write of that kind has changed. Where nothing can be compared it
// is at least asked who is there.
func (w *Worker) inquire(
	repository coordinator.Repository, kind coordinator.WriteKind,
) inquiry {
	asked := inquiry{Worker: w, repository: repository, kind: kind, comparable: true}
	known := []coordinator.WriteKind{
		"references", "hooks", "link", "config", coordinator.KindVerification,
	}
	if !slices.Contains(known, kind) {
		asked.kind, asked.comparable = coordinator.KindVerification, false
	}
	return asked
}

// ask asks some replicas at once and returns when all have answered or will not.
func (i inquiry) ask(
	ctx context.Context, storages []coordinator.Storage,
) map[coordinator.Storage]answer {
	var mu sync.Mutex
	answers := map[coordinator.Storage]answer{}
	var asking sync.WaitGroup
	for _, storage := range storages {
		asking.Go(func() {
			digest, err := i.askOne(ctx, storage)
			mu.Lock()
			defer mu.Unlock()
			answers[storage] = answer{digest: digest, err: err}
		})
	}
	asking.Wait()
	return answers
}

// askOne asks a node as long as it is healthy: a call to one that froze would never end.
func (i inquiry) askOne(ctx context.Context, storage coordinator.Storage) (string, error) {
	virtualStorage := i.repository.Key.VirtualStorage
	if !i.Health.Healthy(virtualStorage, storage) {
		return "", errSick
	}
	ctx, cancel := context.WithTimeoutCause(ctx, i.config.Ask, errSlow)
	defer cancel()
	watched, sick := context.WithCancelCause(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer sick(nil)
	watcher.Go(func() {
		if i.awaitSick(watched, storage) {
			sick(errSick)
		}
	})

	digest, err := i.Digester.Digest(watched, Question{
		VirtualStorage: virtualStorage, Storage: storage,
		ReplicaPath: i.repository.ReplicaPath, Kind: i.kind,
	})
	switch {
	case err != nil && watched.Err() != nil:
		return "", fmt.Errorf("%w: %w", context.Cause(watched), err)
	case err != nil:
		return "", err
	case digest == "":
		return "", fmt.Errorf("%w: the digest is empty", errNoAnswer)
	}
	return digest, nil
}

// awaitSick waits until the node is found sick, and returns false if the context ends first.
func (i inquiry) awaitSick(ctx context.Context, storage coordinator.Storage) bool {
	tick := time.NewTicker(watchPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		if !i.Health.Healthy(i.repository.Key.VirtualStorage, storage) {
			return true
		}
	}
}

// settled asks the replicas of restless until two reads, a settle time apart, agree; the first was
// made already. What does not agree, or stops answering, does not count.
func (i inquiry) settled(
	ctx context.Context, answers map[coordinator.Storage]answer, restless []coordinator.Storage,
) {
	restless = slices.DeleteFunc(slices.Clone(restless), func(storage coordinator.Storage) bool {
		return answers[storage].digest == ""
	})
	for range readsMax - 1 {
		if len(restless) == 0 || !sleep(ctx, i.config.Settle) {
			break
		}
		again := i.ask(ctx, restless)
		restless = slices.DeleteFunc(restless, func(storage coordinator.Storage) bool {
			before, now := answers[storage].digest, again[storage]
			answers[storage] = now
			return now.digest == "" || now.digest == before
		})
	}
	for _, storage := range restless {
		answers[storage] = answer{err: errRestless}
	}
}

// sleep returns false if the context ends first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// current lists the replicas that hold every acknowledged write.
func current(repository coordinator.Repository) []coordinator.Storage {
	var storages []coordinator.Storage
	for _, replica := range repository.Replicas {
		if replica.Generation == repository.Generation {
			storages = append(storages, replica.Storage)
		}
	}
	return storages
}

// question puts answers together with what the metadata say.
func (i inquiry) question(
	answers map[coordinator.Storage]answer, participants []coordinator.Storage,
) question {
	q := question{primary: i.repository.Primary, comparable: i.comparable}
	for _, storage := range current(i.repository) {
		replica, _ := i.repository.Replica(storage)
		q.replicas = append(q.replicas, standing{
			storage: storage, assigned: replica.Assigned,
			healthy:     i.Health.Healthy(i.repository.Key.VirtualStorage, storage),
			participant: slices.Contains(participants, storage),
			digest:      answers[storage].digest,
		})
	}
	return q
}

// groups says for the log who holds the same, and who did not answer and why.
func groups(answers map[coordinator.Storage]answer) (same, unasked []string) {
	byDigest := map[string][]string{}
	for storage, answer := range answers {
		if answer.digest == "" {
			unasked = append(unasked, fmt.Sprintf("%s: %v", storage, answer.err))
			continue
		}
		byDigest[answer.digest] = append(byDigest[answer.digest], string(storage))
	}
	for digest, storages := range byDigest {
		slices.Sort(storages)
		same = append(same, strings.Join(storages, " ")+": "+brief(digest))
	}
	slices.Sort(same)
	slices.Sort(unasked)
	return same, unasked
}

// briefMax is as much of a hash as people compare by eye.
const briefMax = 12

// brief cuts the hashes in a digest.
func brief(digest string) string {
	words := strings.Fields(digest)
	for i, word := range words {
		if name, hash, ok := strings.Cut(word, ":"); ok && len(hash) > briefMax {
			words[i] = name + ":" + hash[:briefMax]
		}
	}
	return strings.Join(words, " ")
}
