package world

import (
	"context"
	"fmt"
	"slices"
	"time"

	"praefect/coordinator"
	"praefect/test/chaos/history"
)

// heal ends all faults; their ends follow from the end of the calls.
func (w *world) heal() {
	w.mu.Lock()
	w.healed = true
	w.mu.Unlock()
	// What heals runs in goroutines of its own.
	_ = pause(context.Background(), healedPoll)
}

// converge waits until everything is in order, and looks at the disks.
func (w *world) converge() {
	deadline := time.Now().Add(healing)
	var open []string
	for time.Now().Before(deadline) {
		if open = w.open(); len(open) == 0 {
			break
		}
		// Nothing ends this context.
		_ = pause(context.Background(), healedPoll)
	}
	w.note("judge", "converged", nil)
	w.mu.Lock()
	w.result.Stuck = append(w.result.Stuck, open...)
	w.mu.Unlock()
	w.final()
}

// open says what is not in order yet.
func (w *world) open() []string {
	var open []string
	for number := range repositories + 1 {
		found, err := w.database.store.Lookup(context.Background(), key(number))
		if err != nil {
			continue // Only the one that is removed at times can be missing.
		}
		if found.TurnHeld {
			open = append(open, fmt.Sprintf("%s: its turn is held", found.Key))
		}
		for _, replica := range found.Replicas {
			if replica.Generation != found.Generation {
				open = append(open, fmt.Sprintf("%s: replica on %s is outdated",
					found.Key, replica.Storage))
			}
		}
		open = append(open, w.differences(found)...)
	}
	for _, n := range w.nodes {
		n.mu.Lock()
		if len(n.locks) > 0 {
			open = append(open, n.name+" holds locks")
		}
		n.mu.Unlock()
	}
	return open
}

// differences compares the replicas of a repository.
func (w *world) differences(found coordinator.Repository) []string {
	var first string
	var different []string
	for i, n := range w.nodes {
		digest := "absent"
		if content := n.look(found.ReplicaPath); content != nil {
			digest = content.digest()
		}
		if i == 0 {
			first = digest
		} else if digest != first {
			different = append(different, fmt.Sprintf("%s: %s has %s, %s has %s",
				found.Key, w.nodes[0].name, first, n.name, digest))
		}
	}
	return different
}

// final records what is on the disks in the end, and what differs.
func (w *world) final() {
	for number := range repositories {
		found, err := w.database.store.Lookup(context.Background(), key(number))
		if err != nil {
			w.fault(fmt.Sprintf("%s: %v", key(number), err))
			continue
		}
		different := w.differences(found)
		w.mu.Lock()
		w.result.Diverged = append(w.result.Diverged, different...)
		w.mu.Unlock()
		for _, n := range w.nodes {
			w.finalOf(n, found)
		}
	}
	w.finalLife()
}

// finalLife records whether the repository is there in the end that is created and removed.
func (w *world) finalLife() {
	values := map[string]string{}
	if _, err := w.database.store.Lookup(context.Background(), key(lifecycle)); err == nil {
		values[exists] = "yes"
	}
	now := w.recorder.Now()
	w.recorder.Add(reading(key(lifecycle).RelativePath, exists, values, history.Operation{
		Action: history.Read, Result: history.Acknowledged, Call: w.recorder.Call(),
		Method: "store", Primary: true, Final: true, Start: now, End: now,
	}))
}

func (w *world) finalOf(n *node, found coordinator.Repository) {
	now := w.recorder.Now()
	replica, _ := found.Replica(coordinator.Storage(n.name))
	content := n.look(found.ReplicaPath)
	if content == nil || replica.Generation != found.Generation {
		return // It is told as such.
	}
	w.recorder.Add(readings(found.Key.RelativePath, content.refs, history.Operation{
		Action: history.Read, Result: history.Acknowledged, Call: w.recorder.Call(),
		Method: "disk", Via: n.name, Primary: true, Final: true, Start: now, End: now,
	})...)
}

// countCopies demands that an acknowledged write is on enough disks.
func (w *world) countCopies(got answer) {
	copies := 0
	for _, n := range w.nodes {
		n.mu.Lock()
		found := n.disk[got.path]
		if found != nil && !slices.ContainsFunc(got.sent, func(c change) bool {
			return !found.done[c.id]
		}) {
			copies++
		}
		n.mu.Unlock()
	}
	if copies < got.copies {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.result.Short = append(w.result.Short, fmt.Sprintf(
			"change %d is on %d disks instead of %d", got.sent[0].id, copies, got.copies))
	}
}
