package digest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/digest"
)

// TestReferences takes two disks through changes: what one has and the other has not makes them
// different, until the other has it too.
func TestReferences(t *testing.T) {
	t.Parallel()
	a, b := start(t, "a"), start(t, "b")
	requireEqual(t, a, b, digest.References)
	one, two := a.commit(t, "one"), a.commit(t, "two")
	require.Equal(t, one, b.commit(t, "one"))
	require.Equal(t, two, b.commit(t, "two"))
	requireEqual(t, a, b, digest.References) // objects alone are not seen

	for _, change := range [][]string{
		{"update-ref", "refs/heads/main", one},
		{"update-ref", "refs/heads/main", two},
		{"update-ref", "refs/merge-requests/1/head", one},
		{"update-ref", "refs/environments/x", one},
		{"update-ref", "refs/unusual", one},
		{"tag", "-a", "-m", "text", "v1", one},
		{"update-ref", "-d", "refs/unusual"},
		{"symbolic-ref", "HEAD", "refs/heads/other"}, // unborn
		{"update-ref", "refs/heads/other", two},      // the same commit as main
		{"symbolic-ref", "refs/heads/alias", "refs/heads/main"},
		{"update-ref", "--no-deref", "HEAD", one}, // detached
		{"update-ref", "--no-deref", "HEAD", two},
		{"symbolic-ref", "HEAD", "refs/heads/main"}, // leads to the same object as before
	} {
		a.git(t, change...)
		requireDifferent(t, a, b, digest.References)
		requireDifferent(t, a, b, digest.Verification)
		b.git(t, change...)
		requireEqual(t, a, b, digest.References)
		requireEqual(t, a, b, digest.Verification)
	}
}

// TestPackedReferences has the same references in one file and in many.
func TestPackedReferences(t *testing.T) {
	t.Parallel()
	a, b := start(t, "a"), start(t, "b")
	one, two := a.commit(t, "one"), a.commit(t, "two")
	b.commit(t, "one")
	b.commit(t, "two")
	for _, name := range []string{"z", "a", "a-b", "a/b/c", "A", "m"} {
		a.git(t, "update-ref", "refs/tags/"+name+"x", one)
	}
	a.git(t, "pack-refs", "--all")
	a.git(t, "update-ref", "refs/tags/mx", two) // hides what is packed
	for _, name := range []string{"m", "A", "a/b/c", "a-b", "z", "a"} {
		b.git(t, "update-ref", "refs/tags/"+name+"x", one)
	}
	b.git(t, "update-ref", "refs/tags/mx", two)
	requireEqual(t, a, b, digest.References)
	b.git(t, "pack-refs", "--all")
	requireEqual(t, a, b, digest.References)
	a.git(t, "update-ref", "-d", "refs/tags/zx")
	requireDifferent(t, a, b, digest.References)
}

// TestManyReferences has more references than one message holds, and a difference in the last.
func TestManyReferences(t *testing.T) {
	t.Parallel()
	const many = 50_000
	a, b := start(t, "a"), start(t, "b")
	one := a.commit(t, "one")
	b.commit(t, "one")
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range many {
		fmt.Fprintf(&packed, "%s refs/heads/branch-with-a-usual-name-%08d\n", one, i)
	}
	for _, d := range []disk{a, b} {
		d.write(t, "packed-refs", packed.String(), 0o644)
	}
	requireEqual(t, a, b, digest.References)
	a.git(t, "update-ref", "refs/zzz", one)
	requireDifferent(t, a, b, digest.References)
}

func TestCustomHooks(t *testing.T) {
	t.Parallel()
	a, b := start(t, "a"), start(t, "b")
	none := a.ask(t, digest.Hooks)
	require.NoError(t, os.Mkdir(b.path("custom_hooks"), 0o700))
	requireEqual(t, a, b, digest.Hooks) // no hooks in both

	const script = "#!/bin/sh\nexit 0\n"
	a.write(t, "custom_hooks/pre-receive", script, 0o755)
	a.write(t, "custom_hooks/update.d/10-check", script, 0o700)
	require.NotEqual(t, none, a.ask(t, digest.Hooks))
	b.write(t, "custom_hooks/update.d/10-check", script, 0o700)
	b.write(t, "custom_hooks/pre-receive", script, 0o755)
	long := time.Unix(1_000_000_000, 0)
	require.NoError(t, os.Chtimes(b.path("custom_hooks", "pre-receive"), long, long))
	requireEqual(t, a, b, digest.Hooks)

	for name, change := range map[string]func(disk){
		"mode":    func(d disk) { d.write(t, "custom_hooks/pre-receive", script, 0o644) },
		"content": func(d disk) { d.write(t, "custom_hooks/pre-receive", script+"#", 0o644) },
		"name":    func(d disk) { d.write(t, "custom_hooks/post-receive", script, 0o755) },
		"folder": func(d disk) {
			require.NoError(t, os.Mkdir(d.path("custom_hooks", "post-receive.d"), 0o755))
		},
	} {
		change(a)
		require.NotEqual(t, a.ask(t, digest.Hooks), b.ask(t, digest.Hooks), name)
		require.NotEqual(t, a.ask(t, digest.Verification), b.ask(t, digest.Verification), name)
		change(b)
		require.Equal(t, a.ask(t, digest.Hooks), b.ask(t, digest.Hooks), name)
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	a, b := start(t, "a"), start(t, "b")
	require.Equal(t, `link:""`, a.ask(t, digest.Link))
	requireEqual(t, a, b, digest.Verification)
	a.write(t, "objects/info/alternates", "../../../cc/dd/2/objects\n", 0o644)
	require.Equal(t, `link:"@cluster/repositories/aa/cc/dd/2"`, a.ask(t, digest.Link))
	requireDifferent(t, a, b, digest.Verification)
	b.write(t, "objects/info/alternates", "../../../cc/dd/2/objects", 0o644)
	requireEqual(t, a, b, digest.Link)
	requireEqual(t, a, b, digest.Verification)
	b.write(t, "objects/info/alternates", "../../../cc/dd/3/objects\n", 0o644)
	requireDifferent(t, a, b, digest.Link)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	a, b := start(t, "a"), start(t, "b")
	requireEqual(t, a, b, digest.Config)
	a.git(t, "config", "x.one", "1")
	a.git(t, "config", "y.two", "2")
	requireDifferent(t, a, b, digest.Config)
	b.git(t, "config", "y.two", "2")
	b.git(t, "config", "x.one", "1")
	requireEqual(t, a, b, digest.Config)
	a.git(t, "config", "--add", "x.one", "3")
	requireDifferent(t, a, b, digest.Config)
	// Configuration is nothing that verification looks at: some of it belongs to a node.
	requireEqual(t, a, b, digest.Verification)
}

// TestAbsent has a node without the repository, one without the node, and things that no digest
// tells.
func TestAbsent(t *testing.T) {
	t.Parallel()
	a := start(t, "a")
	require.NoError(t, os.RemoveAll(a.path()))
	for _, kind := range []digest.Kind{
		digest.References, digest.Hooks, digest.Link, digest.Config, digest.Verification,
	} {
		require.Equal(t, digest.Absent, a.ask(t, kind))
	}

	asked := digest.New(nodes{"a": a.conn})
	question := a.question("objects")
	_, err := asked.Digest(t.Context(), question)
	require.ErrorIs(t, err, digest.ErrUnknownKind)
	question = a.question(digest.References)
	question.Storage = "b"
	_, err = asked.Digest(t.Context(), question)
	require.ErrorIs(t, err, digest.ErrUnknownNode)
	question.Storage, question.Path = "a", "../outside"
	_, err = asked.Digest(t.Context(), question)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}
