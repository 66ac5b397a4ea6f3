package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
)

// contents are cases of what a repository has besides references, and of how it is read.
func contents() []trial {
	return []trial{
		{name: "content/custom-hooks", run: customHooks},
		{name: "content/bundle", run: readBundle},
		{name: "content/archive", run: readArchive},
		{name: "content/sha256", run: sha256},
		{name: "content/detached-head", run: detachedHead},
		{
			name: "content/reftable", run: reftable,
			needs: needs{git: version{2, 46}},
		},
	}
}

// customHooks sets a hook, which refuses a push and says why, and takes it away again.
func customHooks(t *take) {
	r := t.create()
	c := t.filled(r)
	const text = "#!/bin/sh\necho not on a Friday >&2\nexit 1\n"
	for _, archive := range [][]byte{hookArchive(t, text), hookArchive(t, "")} {
		r.mutate(func(options ...grpc.CallOption) error {
			stream, err := t.repositories().SetCustomHooks(t.context, options...)
			if err != nil {
				return err
			}
			err = stream.Send(&gitalypb.SetCustomHooksRequest{Repository: r.proto, Data: archive})
			if err != nil {
				return err
			}
			_, err = stream.CloseAndRecv()

			return err
		})
		c.git("commit", "--quiet", "--allow-empty", "-m", "more")
		before, err := r.look()
		require.NoError(t, err)
		output, err := overHTTP(c, r, "push", "--quiet", remote, "main")
		r.requireEqual()
		after, lookErr := r.look()
		require.NoError(t, lookErr)
		if before.generation == after.generation {
			require.Error(t, err)
			require.Contains(t, output, "not on a Friday")
		} else {
			require.NoError(t, err, "the hook is gone")
		}
	}
	require.Equal(t, c.git("rev-parse", "main"), r.reference("refs/heads/main"))
}

// hookArchive is what SetCustomHooks takes; without a text it has no hook.
func hookArchive(t *take, text string) []byte {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	require.NoError(t, writer.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: "custom_hooks/", Mode: 0o755,
	}))
	if text != "" {
		require.NoError(t, writer.WriteHeader(&tar.Header{
			Name: "custom_hooks/pre-receive", Mode: 0o755, Size: int64(len(text)),
		}))
		_, err := io.WriteString(writer, text)
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())

	return archive.Bytes()
}

func readBundle(t *take) {
	r := t.create()
	c := t.filled(r)
	stream, err := t.repositories().CreateBundle(t.context,
		&gitalypb.CreateBundleRequest{Repository: r.proto})
	require.NoError(t, err)
	messages, err := all(stream)
	require.NoError(t, err)
	var content []byte
	for _, message := range messages {
		content = append(content, message.GetData()...)
	}
	file := filepath.Join(t.tempDir(), "bundle")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	require.Contains(t, c.git("bundle", "list-heads", file),
		c.git("rev-parse", "main")+" refs/heads/main")
}

func readArchive(t *take) {
	r := t.create()
	c := t.filled(r)
	stream, err := t.repositories().GetArchive(t.context, &gitalypb.GetArchiveRequest{
		Repository: r.proto, CommitId: c.git("rev-parse", "main"), Prefix: "project",
		Format: gitalypb.GetArchiveRequest_TAR,
	})
	require.NoError(t, err)
	messages, err := all(stream)
	require.NoError(t, err)
	var content []byte
	for _, message := range messages {
		content = append(content, message.GetData()...)
	}
	names := []string{}
	reader := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, header.Name)
	}
	require.Subset(t, names, []string{"project/first", "project/second"})
}

// sha256 writes to a repository whose objects have longer names.
func sha256(t *take) {
	r := t.createWith(gitalypb.ObjectFormat_OBJECT_FORMAT_SHA256)
	c := t.checkout("--object-format=sha256")
	c.commit("file", "one")
	_, err := overHTTP(c, r, "push", "--quiet", remote, "main")
	require.NoError(t, err)
	r.requireEqual()
	two := c.commit("file", "two")
	_, err = throughSSH(c, r, "push", "--quiet", remote, "main", "main:other")
	require.NoError(t, err)
	r.requireEqual()
	require.Equal(t, two, r.reference("refs/heads/main"))
	_, err = overHTTP(c, r, "push", "--quiet", remote, ":other")
	require.NoError(t, err)
	r.requireEqual()
	r.createBranch("topic")
}

// detachedHead has replicas whose HEAD points to a commit, which no call brings about but old
// repositories have: they can be compared all the same.
func detachedHead(t *take) {
	r := t.create()
	c := t.filled(r)
	found, err := r.look()
	require.NoError(t, err)
	for _, node := range t.stage.Nodes() {
		c.git("--git-dir", node.Path(found.path), "update-ref", "--no-deref", "HEAD",
			c.git("rev-parse", "stable"))
	}
	r.requireEqual()
	c.commit("third", "three\n")
	_, err = overHTTP(c, r, "push", "--quiet", remote, "main")
	require.NoError(t, err)
	r.requireEqual()
}

// reftable changes the format of the references on the disks of all nodes, as no call does, and
// goes on writing.
func reftable(t *take) {
	r := t.create()
	c := t.filled(r)
	found, err := r.look()
	require.NoError(t, err)
	for _, node := range t.stage.Nodes() {
		output, err := exec.CommandContext(t.context, cmp.Or(t.stage.program, "git"), "--git-dir",
			node.Path(found.path), "refs", "migrate", "--ref-format=reftable").CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	r.requireEqual()
	three := c.commit("third", "three\n")
	_, err = overHTTP(c, r, "push", "--quiet", remote, "main", "main:more")
	require.NoError(t, err)
	r.requireEqual()
	require.Equal(t, three, r.reference("refs/heads/main"))
	r.updateReferences(update("refs/heads/more", three, zeroID))
	require.Empty(t, r.reference("refs/heads/more"))
}
