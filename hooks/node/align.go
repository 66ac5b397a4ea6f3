package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"praefect/hooks"
	"praefect/hooks/node/git"
)

// listingsMax is how often a source is listed again because it changed while it was copied. Then
// the copy stays behind it, but is what the source was when it was listed last: whoever keeps the
// books knows that it was written to since.
const listingsMax = 3

// conflictsMax is how often a copy is begun again because its own references changed meanwhile.
const conflictsMax = 5

// alignment makes a repository's references and HEAD equal to a source's.
type alignment struct {
	node *Node
	part participation
	dir  string
	from *source
}

// run aligns the repository. Concurrent changes of the repository are never overwritten.
func (a alignment) run(ctx context.Context) error {
	for range conflictsMax {
		err := a.attempt(ctx)
		if !git.Moved(err) {
			return err
		}
	}

	return fmt.Errorf("align references: %w", ErrUnstable)
}

// attempt brings the objects first, then changes all references at once. Before it does, with its
// references locked, it looks whether the source is still the same.
func (a alignment) attempt(ctx context.Context) error {
	// Listed before the source: a change that reaches both meanwhile is noticed by its old value.
	mine, err := a.node.references(ctx, a.dir)
	if err != nil {
		return err
	}
	wanted, err := a.from.list(ctx)
	if err != nil {
		return err
	}

	for listing := 1; ; listing++ {
		if err := a.bring(ctx, mine, wanted); err != nil {
			return err
		}
		expected := &wanted
		if listing == listingsMax {
			expected = nil
		}
		newer, err := a.apply(ctx, plan(mine, wanted.references), expected)
		if err != nil {
			return err
		}
		if newer == nil {
			return a.alignHead(ctx, wanted.head)
		}
		wanted = *newer
	}
}

// bring fetches the objects that no reference of the repository has at its tip.
func (a alignment) bring(ctx context.Context, mine []reference, wanted state) error {
	have := make(map[string]bool, len(mine))
	for _, r := range mine {
		have[r.object] = true
	}
	var missing []string
	for _, r := range wanted.references {
		if !have[r.object] {
			have[r.object] = true
			missing = append(missing, r.object)
		}
	}
	if len(missing) == 0 {
		return nil
	}

	return a.node.fetch(ctx, a.dir, a.from, missing)
}

// apply changes the references. If a state is expected and the source turns out to be in another,
// it changes nothing and returns that.
func (a alignment) apply(ctx context.Context, p plans, expected *state) (*state, error) {
	for _, updates := range [][]git.Update{p.first, p.rest} {
		if len(updates) == 0 {
			continue
		}
		newer, err := a.change(ctx, updates, expected)
		if newer != nil || err != nil {
			return newer, err
		}
		expected = nil // It was checked while nothing had been changed.
	}

	return nil, nil //nolint:nilnil // No error, and nothing newer.
}

// change applies updates, all or none.
func (a alignment) change(
	ctx context.Context, updates []git.Update, expected *state,
) (*state, error) {
	updater, err := a.node.git.NewUpdater(ctx, a.dir)
	if err != nil {
		return nil, err
	}
	if err := updater.Prepare(updates); err != nil {
		return nil, explainUpdates(updates, err)
	}
	if expected == nil {
		return nil, a.commit(ctx, updater, updates)
	}

	now, err := a.from.list(ctx)
	if err != nil {
		return nil, errors.Join(err, updater.Abort())
	}
	if !now.equal(*expected) {
		return &now, updater.Abort()
	}

	return nil, a.commit(ctx, updater, updates)
}

// commit finishes what is prepared, with the votes that Git's hook would cast.
func (a alignment) commit(ctx context.Context, updater *git.Updater, updates []git.Update) error {
	var lines strings.Builder
	for _, u := range updates {
		lines.WriteString(hooks.UpdateLine(u.Old, u.New, u.Reference))
	}
	hash := hooks.SumText(lines.String())
	if err := a.part.Vote(ctx, hooks.Prepared, hash); err != nil {
		return errors.Join(
			failf(refusalCode(err), "vote on references: %w", err), updater.Abort())
	}
	if err := updater.Commit(); err != nil {
		return err
	}
	if err := a.part.Vote(ctx, hooks.Committed, hash); err != nil {
		return failf(refusalCode(err), "committing vote on references: %w", err)
	}

	return nil
}

// alignHead makes HEAD point to where the source's does.
func (a alignment) alignHead(ctx context.Context, target string) error {
	head, err := a.node.head(ctx, a.dir)
	if err != nil || target == "" || head.target == target {
		return err
	}
	format, err := a.node.optional(ctx, a.dir, "rev-parse", "--show-object-format")
	if err != nil {
		return fmt.Errorf("ask for object format: %w", err)
	}

	return a.node.pointHead(ctx, a.part, a.dir, pointer{target: target, zero: zeroID(format)})
}

// plans are the updates that make one list of references another. Deletions of names that are in
// the way of new ones come first, because Git cannot do both at once; usually there are none.
type plans struct {
	first, rest []git.Update
}

// plan compares references.
func plan(mine, wanted []reference) plans {
	have := make(map[string]string, len(mine))
	for _, r := range mine {
		have[r.name] = r.object
	}

	var p plans
	names := newNames()
	for _, r := range wanted {
		old, ok := have[r.name]
		delete(have, r.name)
		if !ok {
			old = zeroID(formatOf(r.object))
			names.add(r.name)
		}
		if old != r.object {
			p.rest = append(p.rest, git.Update{Reference: r.name, Old: old, New: r.object})
		}
	}

	for _, r := range mine {
		if _, gone := have[r.name]; !gone {
			continue
		}
		deletion := git.Update{
			Reference: r.name, Old: r.object, New: zeroID(formatOf(r.object)),
		}
		if names.conflict(r.name) {
			p.first = append(p.first, deletion)
		} else {
			p.rest = append(p.rest, deletion)
		}
	}

	return p
}

// names are those of new references.
type names struct {
	files map[string]bool // the names
	dirs  map[string]bool // the directories above them
}

func newNames() names {
	return names{files: make(map[string]bool), dirs: make(map[string]bool)}
}

func (n names) add(name string) {
	n.files[name] = true
	for dir := range parents(name) {
		n.dirs[dir] = true
	}
}

// conflict tells whether a name is a directory of a new name, or has a new name for a directory.
func (n names) conflict(name string) bool {
	if n.dirs[name] {
		return true
	}
	for dir := range parents(name) {
		if n.files[dir] {
			return true
		}
	}

	return false
}

// parents returns the directories above a name.
func parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name, '/') {
			name = name[:i]
			if !yield(name) {
				return
			}
		}
	}
}
