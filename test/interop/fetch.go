package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// fetches are cases in which nodes get objects from elsewhere.
func fetches() []trial {
	return []trial{
		{name: "fetch/remote", run: fetchRemote},
		{name: "fetch/bundle", run: fetchBundle},
		{name: "fetch/fork", run: func(t *take) { fork(t) }},
		{name: "fetch/from-bundle", run: createFromBundle},
		{name: "fetch/replicate-into-cluster", run: replicateInto},
	}
}

// serve serves a working copy by Git's own protocol and returns the URL.
func (c *checkout) serve() string {
	address, err := cluster.FreeAddress(c.context)
	require.NoError(c, err)
	host, port, err := net.SplitHostPort(address)
	require.NoError(c, err)
	log := filepath.Join(c.tempDir(), "log")
	process, err := cluster.Spawn(cluster.Command{Path: "git", Log: log, Args: []string{
		"daemon", "--export-all", "--reuseaddr", "--listen=" + host, "--port=" + port,
		"--base-path=" + filepath.Dir(c.dir), filepath.Dir(c.dir),
	}})
	require.NoError(c, err)
	c.Cleanup(func() { require.NoError(c, process.Kill()) })
	c.eventually(settles, func() error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(c.context, "tcp", address)
		if err != nil {
			return fmt.Errorf("reach git daemon: %w", err)
		}

		return conn.Close()
	})

	return fmt.Sprintf("git://%s/%s/.git", address, filepath.Base(c.dir))
}

// fetchRemote mirrors another repository: new branches and tags come, changed ones move, and those
// that are gone are pruned. The last round has nothing but pruning.
func fetchRemote(t *take) {
	r, c := t.create(), t.checkout()
	c.commit("file", "one")
	c.git("branch", "stable")
	c.git("tag", "v1")
	url := c.serve()

	for _, step := range []struct {
		change func()
		gone   string
	}{
		{change: func() {}},
		{change: func() { c.commit("file", "two"); c.git("branch", "topic") }},
		{
			change: func() { c.commit("file", "three"); c.git("branch", "-D", "topic") },
			gone:   "refs/heads/topic",
		},
		{change: func() { c.git("branch", "-D", "stable") }, gone: "refs/heads/stable"},
	} {
		step.change()
		r.mutate(func(options ...grpc.CallOption) error {
			_, err := t.repositories().FetchRemote(t.context, &gitalypb.FetchRemoteRequest{
				Repository: r.proto, Force: true,
				RemoteParams: &gitalypb.Remote{
					Url: url, MirrorRefmaps: []string{"+refs/heads/*:refs/heads/*"},
				},
			}, options...)

			return err
		})
		require.Equal(t, c.git("rev-parse", "main"), r.reference("refs/heads/main"))
		require.Equal(t, c.git("rev-parse", "v1"), r.reference("refs/tags/v1"))
		if step.gone != "" {
			require.Empty(t, r.reference(step.gone))
		}
	}
}

func fetchBundle(t *take) {
	r := t.create()
	c := t.filled(r)
	c.commit("third", "three\n")
	c.git("branch", "fresh")
	content := c.bundle("--all")
	r.mutate(func(options ...grpc.CallOption) error {
		stream, err := t.repositories().FetchBundle(t.context, options...)
		if err != nil {
			return err
		}
		repo := r.proto
		err = send(content, func(piece []byte) error {
			defer func() { repo = nil }()

			return stream.Send(&gitalypb.FetchBundleRequest{Repository: repo, Data: piece})
		}, nil)
		if err != nil {
			return err
		}
		_, err = stream.CloseAndRecv()

		return err
	})
	require.Equal(t, c.git("rev-parse", "main"), r.reference("refs/heads/main"))
	require.Equal(t, c.git("rev-parse", "fresh"), r.reference("refs/heads/fresh"))
}

// servers tells nodes how they reach the storages that a request names.
func (t *take) servers() context.Context {
	type server struct {
		Address string `json:"address"`
		Token   string `json:"token"`
	}
	known := map[string]server{
		t.stage.VirtualStorage(): {t.stage.Proxy().Address, t.stage.Token()},
		plain:                    {t.stage.Outside()[0].Address, t.stage.Token()},
	}
	text, err := json.Marshal(known)
	require.NoError(t, err)

	return metadata.AppendToOutgoingContext(t.context,
		"gitaly-servers", base64.StdEncoding.EncodeToString(text))
}

// fork forks a filled repository and returns both.
func fork(t *take) (source, forked *repository) {
	source, forked = t.create(), t.newRepository()
	c := t.filled(source)
	forked.mutate(func(options ...grpc.CallOption) error {
		_, err := t.repositories().CreateFork(t.servers(), &gitalypb.CreateForkRequest{
			Repository: forked.proto, SourceRepository: source.proto,
		}, options...)

		return err
	})
	require.Equal(t, c.git("rev-parse", "main"), forked.reference("refs/heads/main"))
	require.Equal(t, c.git("rev-parse", "v1"), forked.reference("refs/tags/v1"))

	return source, forked
}

func createFromBundle(t *take) {
	r, c := t.newRepository(), t.checkout()
	main := c.commit("file", "one")
	c.git("branch", "stable")
	content := c.bundle("--all")
	r.mutate(func(options ...grpc.CallOption) error {
		stream, err := t.repositories().CreateRepositoryFromBundle(t.context, options...)
		if err != nil {
			return err
		}
		repo := r.proto
		err = send(content, func(piece []byte) error {
			defer func() { repo = nil }()

			return stream.Send(&gitalypb.CreateRepositoryFromBundleRequest{
				Repository: repo, Data: piece,
			})
		}, nil)
		if err != nil {
			return err
		}
		_, err = stream.CloseAndRecv()

		return err
	})
	require.Equal(t, main, r.reference("refs/heads/main"))
	require.Equal(t, main, r.reference("refs/heads/stable"))
}

// replicateInto copies a repository of a node outside of the cluster into it, twice: the second
// time it is there already and only catches up.
func replicateInto(t *take) {
	outside := gitalypb.NewRepositoryServiceClient(t.stage.direct[plain])
	r := t.newRepository()
	source := &gitalypb.Repository{
		StorageName: plain, RelativePath: "plain/" + filepath.Base(r.proto.GetRelativePath()),
	}
	_, err := outside.CreateRepository(t.context,
		&gitalypb.CreateRepositoryRequest{Repository: source, DefaultBranch: []byte("main")})
	require.NoError(t, err)
	c := t.checkout()
	first := c.commit("file", "one")
	disk := t.stage.Outside()[0].Path(source.GetRelativePath())
	c.git("push", "--quiet", disk, "main")

	replicate := func(options ...grpc.CallOption) error {
		_, err := t.repositories().ReplicateRepository(t.servers(),
			&gitalypb.ReplicateRepositoryRequest{Repository: r.proto, Source: source}, options...)

		return err
	}
	r.mutate(replicate)
	require.Equal(t, first, r.reference("refs/heads/main"))

	second := c.commit("file", "two")
	c.git("push", "--quiet", disk, "main")
	r.mutate(replicate)
	require.Equal(t, second, r.reference("refs/heads/main"))
	require.NoError(t, os.RemoveAll(disk))
}
