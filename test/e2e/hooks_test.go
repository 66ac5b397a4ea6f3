package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// point is a moment in the life of a hook at which a node can be stopped: "before-pre-receive",
// "after-prepared" and so on. What is after "prepared" was told COMMIT and has not committed yet.
type point string

const (
	atPreReceive  point = "before-pre-receive"
	atUpdate      point = "before-update"
	atPrepared    point = "before-prepared"
	atPromised    point = "after-prepared"
	atCommitted   point = "before-committed"
	atConfirmed   point = "after-committed"
	atPostReceive point = "before-post-receive"
)

// switchboard stops the hooks of one node.
type switchboard struct {
	// program is what the node must be given as its hooks program.
	program string
	control string
}

// The wrapper stops at a point while a file with the name of the point exists, below a folder with
// the name of the repository on disk. With the file "differ" it votes on something else.
const wrapper = `#!/bin/bash
control='%s'/${PWD##*/}
point=${0##*/}
if [ "$point" = reference-transaction ]; then point=$1; fi

stop() {
	[ -e "$control/$1" ] || return 0
	: > "$control/$1.reached"
	while [ -e "$control/$1" ]; do sleep 0.02; done
}

run() {
	if [ -e "$control/differ" ] && [ "${0##*/}" = reference-transaction ]; then
		(cat; echo differ) | (exec -a "$0" '%s' "$@")
	else
		(exec -a "$0" '%s' "$@")
	fi
}

stop "before-$point"
run "$@"
code=$?
stop "after-$point"
exit $code
`

// newSwitchboard makes a hooks program around the given one.
func newSwitchboard(t *testing.T, hooks string) *switchboard {
	t.Helper()

	dir := t.TempDir()
	s := &switchboard{program: filepath.Join(dir, "hooks"), control: filepath.Join(dir, "control")}
	text := fmt.Sprintf(wrapper, s.control, hooks, hooks)
	require.NoError(t, os.WriteFile(s.program, []byte(text), 0o755))

	return s
}

// stopAt makes the hooks of a repository stop at a point, until the returned function is called.
func (s *switchboard) stopAt(t *testing.T, replicaPath string, at point) (release func()) {
	t.Helper()

	file := s.file(t, replicaPath, string(at))
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	return func() { require.NoError(t, os.RemoveAll(file)) }
}

// waitReached waits until a hook has stopped there.
func (s *switchboard) waitReached(t *testing.T, replicaPath string, at point) {
	t.Helper()

	file := s.file(t, replicaPath, string(at)+".reached")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.FileExists(c, file)
	}, waitLong, tick, "no hook arrived at %s", at)
}

// differ makes the node vote on something else than the others.
func (s *switchboard) differ(t *testing.T, replicaPath string) {
	t.Helper()

	require.NoError(t, os.WriteFile(s.file(t, replicaPath, "differ"), nil, 0o600))
}

// agree ends differ.
func (s *switchboard) agree(t *testing.T, replicaPath string) {
	t.Helper()

	require.NoError(t, os.Remove(s.file(t, replicaPath, "differ")))
}

func (s *switchboard) file(t *testing.T, replicaPath, name string) string {
	t.Helper()

	dir := filepath.Join(s.control, filepath.Base(strings.TrimSuffix(replicaPath, "/")))
	require.NoError(t, os.MkdirAll(dir, 0o755))

	return filepath.Join(dir, name)
}
