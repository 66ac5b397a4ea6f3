package main

import (
	"context"
	"net"
	"strings"

	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// user pushes whatever he likes.
const user = "user-1"

// transports are cases of plain Git.
func transports() []trial {
	return []trial{
		{name: "push/http", run: func(t *take) { pushEverything(t, overHTTP) }},
		{name: "push/ssh", run: func(t *take) { pushEverything(t, throughSSH) }},
		{name: "push/nothing", run: pushNothing},
		{name: "push/clone-http", run: func(t *take) { cloneWhole(t, overHTTP) }},
		{name: "push/clone-ssh", run: func(t *take) { cloneWhole(t, throughSSH) }},
		{
			name: "push/denied", run: pushDenied,
			needs: needs{gitaly: "only its hooks ask GitLab for leave"},
		},
	}
}

// transport runs a Git command against a repository; the command has remote in place of its URL.
type transport func(c *checkout, r *repository, args ...string) (string, error)

const remote = "REMOTE"

func addressed(args []string, url string) []string {
	var all []string
	for _, arg := range args {
		all = append(all, strings.Replace(arg, remote, url, 1))
	}

	return all
}

func overHTTP(c *checkout, r *repository, args ...string) (string, error) {
	return c.try(nil, addressed(args, c.stage.GitURL(r.proto.GetRelativePath()))...)
}

func throughSSH(c *checkout, r *repository, args ...string) (string, error) {
	serve := r.upload
	if args[0] == "push" {
		serve = r.receive(user)
	}

	return c.overSSH(serve, addressed(args, openedURL)...)
}

// filled pushes two branches and a tag to a repository.
func (t *take) filled(r *repository) *checkout {
	c := t.checkout()
	c.commit("first", "one\n")
	c.git("branch", "stable")
	c.commit("second", "two\n")
	c.git("tag", "-a", "v1", "-m", "version 1")
	_, err := overHTTP(c, r, "push", "--quiet", remote, "main", "stable", "v1")
	require.NoError(t, err)
	r.requireEqual()

	return c
}

// pushEverything pushes every kind of change.
func pushEverything(t *take, over transport) {
	r, c := t.create(), t.checkout()
	first := c.commit("file", "one")
	for _, name := range []string{"feature", "topic"} {
		c.git("branch", name)
	}
	second := c.commit("file", "two")
	c.git("tag", "-a", "v1", "-m", "version 1")

	for _, step := range []struct {
		args []string
		want map[string]string
	}{
		{[]string{"main"}, map[string]string{"main": second}},
		{
			[]string{"feature", "topic", "v1", "main:a", "main:b"},
			map[string]string{"feature": first, "topic": first, "a": second},
		},
		{
			[]string{"--atomic", "main:c", "main:feature"},
			map[string]string{"c": second, "feature": second},
		},
		{[]string{"--force", "topic:feature"}, map[string]string{"feature": first}},
		{[]string{":a", ":b"}, map[string]string{"a": "", "b": ""}},
		{
			[]string{":c", "main:d", "+main:topic"},
			map[string]string{"c": "", "d": second, "topic": second},
		},
	} {
		before, err := r.look()
		require.NoError(t, err)
		_, err = over(c, r, append([]string{"push", "--quiet", remote}, step.args...)...)
		require.NoError(t, err)
		r.requireEqual()
		after, err := r.look()
		require.NoError(t, err)
		require.Greater(t, after.generation, before.generation, "%v", step.args)
		for name, want := range step.want {
			require.Equal(t, want, r.reference("refs/heads/"+name), "%v: %s", step.args, name)
		}
	}
}

func pushNothing(t *take) {
	r := t.create()
	c := t.filled(r)
	before, err := r.look()
	require.NoError(t, err)
	for _, over := range []transport{overHTTP, throughSSH} {
		_, err = over(c, r, "push", "--quiet", remote, "main")
		require.NoError(t, err)
	}
	after, err := r.look()
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing is written")
}

func cloneWhole(t *take, over transport) {
	r := t.create()
	c := t.filled(r)
	copied := &checkout{take: t, dir: t.tempDir()}
	_, err := over(copied, r, "clone", "--quiet", remote, ".")
	require.NoError(t, err)
	require.Equal(t, c.git("rev-parse", "main"), copied.git("rev-parse", "origin/main"))
	require.Equal(t, c.git("rev-parse", "v1"), copied.git("rev-parse", "v1"))
	copied.git("fsck", "--full", "--no-progress")
}

// pushDenied is a push that GitLab forbids: the user reads why, and nothing changes.
func pushDenied(t *take) {
	r := t.create()
	c := t.filled(r)
	c.commit("file", "three")
	before, err := r.look()
	require.NoError(t, err)
	output, err := c.overSSH(func(ctx context.Context, git *net.UnixConn) error {
		return r.receive(cluster.DeniedUser)(ctx, git)
	}, "push", openedURL, "main")
	require.Error(t, err)
	require.Contains(t, output, "You are not allowed to push.")
	r.requireEqual()
	after, err := r.look()
	require.NoError(t, err)
	require.Equal(t, before, after)
}
