package digest_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/hooks/node"
	"praefect/proxy/digest"
	"praefect/proxy/gitalypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	virtual  = "default"
	relative = "@cluster/repositories/aa/bb/1"
)

// nodes are the connections to nodes by storage.
type nodes map[string]grpc.ClientConnInterface

func (n nodes) Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool) {
	conn, ok := n[storage]
	return conn, ok && virtualStorage == virtual
}

// disk is a running node with a repository.
type disk struct {
	storage string
	dir     string
	conn    *grpc.ClientConn
}

// start starts a node of that name on an empty disk, with an empty repository.
func start(t *testing.T, storage string) disk {
	t.Helper()
	// No hook runs in these tests, so that any program may stand for it.
	program, err := os.Executable()
	require.NoError(t, err)
	d := disk{storage: storage, dir: t.TempDir()}
	served, err := node.New(node.Config{
		Storage: storage, Directory: d.dir, HooksBinary: program, NoSync: true,
	}, zap.NewNop())
	require.NoError(t, err)
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- served.Run(ctx, listener) }()
	d.conn = dial(t, listener.Addr().String())
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	_, err = gitalypb.NewRepositoryServiceClient(d.conn).CreateRepository(t.Context(),
		&gitalypb.CreateRepositoryRequest{
			Repository:    &gitalypb.Repository{StorageName: storage, RelativePath: relative},
			DefaultBranch: []byte("main"),
		})
	require.NoError(t, err)
	return d
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// path is a place in the repository on the disk.
func (d disk) path(elements ...string) string {
	return filepath.Join(append([]string{d.dir, filepath.FromSlash(relative)}, elements...)...)
}

// git runs Git in the repository, without hooks, and returns what it writes.
func (d disk) git(t *testing.T, args ...string) string {
	t.Helper()
	return d.gitWith(t, nil, args...)
}

func (d disk) gitWith(t *testing.T, stdin io.Reader, args ...string) string {
	t.Helper()
	settings := []string{"-c", "safe.directory=*", "-c", "core.hooksPath=" + os.DevNull}
	command := exec.CommandContext(t.Context(), "git", append(settings, args...)...)
	command.Dir = d.path()
	command.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@b",
		"GIT_COMMITTER_DATE=1700000000 +0000")
	var output, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = stdin, &output, &stderr
	require.NoError(t, command.Run(), "git %v: %s", args, stderr.String())
	return strings.TrimSpace(output.String())
}

// commit writes a commit without parents, the same on every disk.
func (d disk) commit(t *testing.T, message string) string {
	t.Helper()
	tree := d.gitWith(t, strings.NewReader(""), "hash-object", "-w", "-t", "tree", "--stdin")
	return d.git(t, "commit-tree", "-m", message, tree)
}

// write puts a file into the repository.
func (d disk) write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	place := d.path(filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(place), 0o755))
	require.NoError(t, os.WriteFile(place, []byte(content), 0o600))
	require.NoError(t, os.Chmod(place, mode))
}

// ask asks for the digest of the repository.
func (d disk) ask(t *testing.T, kind digest.Kind) string {
	t.Helper()
	found, err := digest.New(nodes{d.storage: d.conn}).Digest(t.Context(), d.question(kind))
	require.NoError(t, err)
	return found
}

func (d disk) question(kind digest.Kind) digest.Question {
	return digest.Question{
		VirtualStorage: virtual, Storage: d.storage, Path: relative, Kind: kind,
	}
}

// requireEqual and requireDifferent compare two disks.
func requireEqual(t *testing.T, a, b disk, kind digest.Kind) {
	t.Helper()
	require.Equal(t, a.ask(t, kind), b.ask(t, kind))
}

func requireDifferent(t *testing.T, a, b disk, kind digest.Kind) {
	t.Helper()
	require.NotEqual(t, a.ask(t, kind), b.ask(t, kind))
}
