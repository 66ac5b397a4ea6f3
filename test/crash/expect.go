package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"praefect/test/cluster"
)

// writeLimit bounds one attempt to write.
const writeLimit = 3 * time.Second

// recovered says what is still wrong while the victim is away.
func (t *take) recovered(ctx context.Context) error {
	if err := t.consistent(ctx); err != nil {
		return err
	}
	switch {
	case t.rewritten:
		return t.visible(ctx)
	case t.scene.double && t.bereft(ctx):
		return nil
	}

	return t.rewrite(ctx)
}

// readings is how often each proxy is read from: which replica answers is a matter of chance.
const readings = 4

// visible reads the last write through every proxy. Whatever else may still be wrong for a while,
// a read that misses an acknowledged write stays a failure.
func (t *take) visible(ctx context.Context) error {
	for _, proxy := range t.stage.Proxies() {
		if t.stale == nil && proxy.Process().Answers() {
			if err := t.readThrough(ctx, proxy); err != nil {
				return err
			}
		}
	}

	return t.stale
}

func (t *take) readThrough(ctx context.Context, proxy *cluster.Proxy) error {
	reader, err := t.stage.dial(proxy, t.path)
	if err != nil {
		return err
	}
	defer reader.close()
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	for range readings {
		is, err := reader.reference(ctx, refMain)
		if err != nil {
			return fmt.Errorf("read through %s: %w", proxy.Name, err)
		}
		if is != t.tried {
			t.stale = fmt.Errorf("stale: read through %s: %s is %q after %q was acknowledged",
				proxy.Name, refMain, is, t.tried)
		}
	}

	return nil
}

// bereft says that no current replica is on a node that runs: after two faults that may be so, and
// nobody can write then.
func (t *take) bereft(ctx context.Context) bool {
	found, err := t.stage.look(ctx, t.path)
	if err != nil {
		return false
	}

	return !slices.ContainsFunc(found.current(), t.runs)
}

// runs says whether the node of a storage does.
func (t *take) runs(storage string) bool {
	node, err := t.stage.Node(storage)

	return err == nil && node.Process().Running()
}

// rewrite writes to the same reference and looks at the replicas again.
func (t *take) rewrite(ctx context.Context) error {
	if err := t.attempt(ctx); err != nil {
		return fmt.Errorf("write to the same reference: %w", err)
	}
	if err := t.visible(ctx); err != nil {
		return err
	}

	return t.consistent(ctx)
}

func (t *take) attempt(ctx context.Context) error {
	proxy, err := t.stage.survivor()
	if err != nil {
		return err
	}
	survivor, err := t.stage.dial(proxy, t.path)
	if err != nil {
		return err
	}
	defer survivor.close()
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()

	return t.scene.write(ctx, t, survivor)
}

// consistent compares metadata and disks.
func (t *take) consistent(ctx context.Context) error {
	before, err := t.stage.look(ctx, t.path)
	if errors.Is(err, errNoRecord) {
		return t.absent()
	}
	if err != nil {
		return err
	}
	switch {
	case before.state != "ready":
		return fmt.Errorf("the repository is %s", before.state)
	case before.intents > 0:
		return errors.New("an intent is left")
	case before.announcements > 0:
		return errors.New("an announcement is left")
	case len(before.current()) == 0:
		return fmt.Errorf("no replica is current: %+v", before)
	}
	if err := t.compare(ctx, before); err != nil {
		return err
	}
	after, err := t.stage.look(ctx, t.path)
	if err == nil && after.generation != before.generation {
		err = errors.New("the metadata change")
	}

	return err
}

// compare reads all replicas that are recorded as current. While there is a doubt, one whose node
// is away is not judged: it is compared when it is back.
func (t *take) compare(ctx context.Context, known record) error {
	judged := slices.DeleteFunc(known.current(), func(storage string) bool {
		return known.doubtful && !t.runs(storage)
	})
	var first state
	for i, storage := range judged {
		found, err := t.read(ctx, storage, known.replicaPath)
		if err != nil {
			return err
		}
		if i == 0 {
			first = found
		}
		if first.text != found.text {
			return fmt.Errorf("diverged: replicas recorded as current differ:\n%s:\n%s\n%s:\n%s",
				judged[0], first.text, storage, found.text)
		}
		if err := t.scene.judge(t, found); err != nil {
			return fmt.Errorf("%s: %w", storage, err)
		}
	}

	return nil
}

func (t *take) read(ctx context.Context, storage, replicaPath string) (state, error) {
	node, err := t.stage.Node(storage)
	if err != nil {
		return state{}, err
	}

	return readState(ctx, node, replicaPath)
}

// absent says whether it is right that there is no repository.
func (t *take) absent() error {
	switch {
	case t.scene.name == removal().name && !t.rewritten:
		return nil
	case t.scene.empty && !t.rewritten && !t.answer.acknowledged():
		return nil
	}

	return errors.New("lost: there is no repository")
}

// allCurrent says which assigned replicas are not current.
func (t *take) allCurrent(ctx context.Context) error {
	found, err := t.stage.look(ctx, t.path)
	if err != nil {
		return err
	}
	if len(found.current()) != len(t.stage.Nodes()) {
		return fmt.Errorf("outdated replicas: %+v", found)
	}

	return nil
}

// whole says what is still wrong when everybody is back.
func (t *take) whole(ctx context.Context) error {
	if err := t.allCurrent(ctx); err != nil {
		return err
	}
	if err := t.consistent(ctx); err != nil {
		return err
	}
	ensure := t.visible
	if !t.rewritten {
		ensure = t.rewrite
	}
	if err := ensure(ctx); err != nil {
		return err
	}

	return t.stage.clean(ctx)
}

// clean looks for what was left on disks.
func (s *stage) clean(ctx context.Context) error {
	var found []remains
	for _, node := range s.Nodes() {
		left, err := scan(node)
		if err != nil {
			return err
		}
		found = append(found, left)
	}
	// Read after the disks: a row comes before its directory and goes after it.
	known, err := s.known(ctx)
	if err != nil {
		return err
	}
	for i, node := range s.Nodes() {
		if len(found[i].locks) > 0 {
			return fmt.Errorf("locks are left: %v", found[i].locks)
		}
		if orphan := orphan(node, found[i], known[node.Storage]); orphan != "" {
			return fmt.Errorf("a directory without a row: %s: %s", node.Storage, orphan)
		}
	}

	return nil
}

// drained waits until every creation and removal has come to its end, which may take longer than a
// case, as workers leave time to whoever began it and to nodes. Then no disk has anything of them.
func (s *stage) drained(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		left, err := s.unfinished(ctx)
		if err == nil && len(left) == 0 {
			return s.clean(ctx)
		}
		select {
		case <-time.After(tick):
		case <-ctx.Done():
			return errors.Join(err, fmt.Errorf("%s after the last case is left: %s", limit,
				strings.Join(left, "; ")))
		}
	}
}

func orphan(node *cluster.Node, found remains, known map[string]bool) string {
	for _, path := range found.repositories {
		// The node's own files are below a name that no repository has.
		if !strings.HasPrefix(path, "+") && !known[filepath.Clean(path)] {
			return node.Path(path)
		}
	}

	return ""
}
