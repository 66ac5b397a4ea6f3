package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// gateway serves a repository to plain Git over HTTP.
func (r *rig) gateway(t *testing.T, repo *gitalypb.Repository) string {
	t.Helper()

	client := gitalypb.NewSmartHTTPServiceClient(r.conn)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /r.git/info/refs", func(w http.ResponseWriter, q *http.Request) {
		call := client.InfoRefsUploadPack
		if q.FormValue("service") == "git-receive-pack" {
			call = client.InfoRefsReceivePack
		}
		stream, err := call(q.Context(), &gitalypb.InfoRefsRequest{
			Repository: repo, GitProtocol: q.Header.Get("Git-Protocol"),
		})
		w.Header().Set("Content-Type", "application/x-"+q.FormValue("service")+"-advertisement")
		for err == nil {
			var response *gitalypb.InfoRefsResponse
			if response, err = stream.Recv(); err == nil {
				_, err = w.Write(response.GetData())
			}
		}
	})
	mux.HandleFunc("POST /r.git/git-upload-pack", func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		waiter := r.side.Register(func(conn *sidechannel.ClientConn) error {
			if _, err := io.Copy(conn, q.Body); err != nil {
				return err
			}
			if err := conn.CloseWrite(); err != nil {
				return err
			}
			_, err := io.Copy(w, conn)

			return err
		})
		_, err := client.PostUploadPackWithSidechannel(waiter.Outgoing(q.Context()),
			&gitalypb.PostUploadPackWithSidechannelRequest{
				Repository: repo, GitProtocol: q.Header.Get("Git-Protocol"),
			})
		if ended := waiter.Close(); err == nil {
			err = ended
		}
		if err != nil {
			t.Errorf("upload pack: %v", err)
		}
	})
	mux.HandleFunc("POST /r.git/git-receive-pack", r.receive(t, repo))

	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	return server.URL + "/r.git"
}

// receive carries a push.
func (r *rig) receive(t *testing.T, repo *gitalypb.Repository) http.HandlerFunc {
	t.Helper()

	return func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Errorf("read push: %v", err)
		}
		w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
		output, err := r.post(q.Context(), repo, body)
		if err != nil {
			t.Errorf("receive pack: %v", err)
		}
		_, _ = io.WriteString(w, output)
	}
}

func TestCloneAndPushOverHTTP(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	url := r.gateway(t, repo)
	clone, _ := newClone(t)
	newCommit(t, clone, "second")
	runGit(t, clone, "tag", "-a", "-m", "tag", "v1")

	runGit(t, clone, "-c", "push.followTags=true", "push", url, "main")
	for _, protocol := range []string{"0", "2"} {
		again := filepath.Join(t.TempDir(), "again")
		runGit(t, "/", "-c", "protocol.version="+protocol, "clone", "--quiet", url, again)
		require.Equal(t, runGit(t, clone, "rev-parse", "main", "v1"),
			runGit(t, again, "rev-parse", "main", "v1"))
		shallow := filepath.Join(t.TempDir(), "shallow")
		runGit(t, "/", "-c", "protocol.version="+protocol,
			"clone", "--quiet", "--depth=1", url, shallow)
		require.Equal(t, "1", runGit(t, shallow, "rev-list", "--count", "HEAD"))
	}
	runGit(t, r.path(repo), "fsck", "--strict")
}

// ssh runs Git against a repository over the methods for SSH: Git finds its connection open.
func (r *rig) ssh(
	t *testing.T, dir string, serve func(context.Context, io.Reader, io.WriteCloser) error,
	args ...string,
) (string, error) {
	t.Helper()

	gitReads, toGit, err := os.Pipe()
	require.NoError(t, err)
	fromGit, gitWrites, err := os.Pipe()
	require.NoError(t, err)

	served := make(chan error, 1)
	go func() { served <- serve(t.Context(), fromGit, toGit) }()

	var output bytes.Buffer
	command := gitCommand(t.Context(), dir,
		append([]string{"-c", "protocol.fd.allow=always"}, args...)...)
	command.ExtraFiles = []*os.File{gitReads, gitWrites}
	command.Stdout, command.Stderr = &output, &output
	failed := command.Run()
	require.NoError(t, gitReads.Close())
	require.NoError(t, gitWrites.Close())
	require.NoError(t, <-served)
	_ = toGit.Close() // the server has, perhaps
	require.NoError(t, fromGit.Close())

	return output.String(), failed
}

// serveUpload serves a fetch.
func (r *rig) serveUpload(
	repo *gitalypb.Repository,
) func(context.Context, io.Reader, io.WriteCloser) error {
	return func(ctx context.Context, in io.Reader, out io.WriteCloser) error {
		waiter := r.side.Register(func(conn *sidechannel.ClientConn) error {
			var sending sync.WaitGroup
			sending.Go(func() {
				_, _ = io.Copy(conn, in)
				_ = conn.CloseWrite()
			})
			err := demultiplex(conn, out)
			_ = out.Close()
			sending.Wait()

			return err
		})
		_, err := gitalypb.NewSSHServiceClient(r.conn).SSHUploadPackWithSidechannel(
			waiter.Outgoing(ctx), &gitalypb.SSHUploadPackWithSidechannelRequest{Repository: repo})
		if ended := waiter.Close(); err == nil {
			err = ended
		}

		return err
	}
}

// demultiplex writes the first band of side band packets.
func demultiplex(packets io.Reader, out io.Writer) error {
	for {
		var header [5]byte
		_, err := io.ReadFull(packets, header[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var length int64
		if _, err := fmt.Sscanf(string(header[:4]), "%04x", &length); err != nil {
			return err
		}
		sink := io.Discard
		if header[4] == 1 {
			sink = out
		}
		if _, err := io.CopyN(sink, packets, length-5); err != nil {
			return err
		}
	}
}

// servePush serves a push.
func (r *rig) servePush(
	repo *gitalypb.Repository,
) func(context.Context, io.Reader, io.WriteCloser) error {
	return func(ctx context.Context, in io.Reader, out io.WriteCloser) error {
		stream, err := gitalypb.NewSSHServiceClient(r.conn).SSHReceivePack(ctx)
		if err != nil {
			return err
		}
		err = stream.Send(&gitalypb.SSHReceivePackRequest{Repository: repo, GlId: "user-1"})
		if err != nil {
			return err
		}
		var sending sync.WaitGroup
		defer sending.Wait()
		defer func() { _ = out.Close() }() // The client ends then, and what it says.
		sending.Go(func() {
			buffer := make([]byte, 64<<10)
			for {
				n, err := in.Read(buffer)
				if err != nil || stream.Send(
					&gitalypb.SSHReceivePackRequest{Stdin: bytes.Clone(buffer[:n])}) != nil {
					break
				}
			}
			_ = stream.CloseSend()
		})
		for {
			response, err := stream.Recv()
			if err == io.EOF { //nolint:errorlint // as documented
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := out.Write(response.GetStdout()); err != nil {
				return err
			}
			if status := response.GetExitStatus(); status.GetValue() != 0 {
				return fmt.Errorf("exit status %d", status.GetValue())
			}
		}
	}
}

func TestCloneAndPushOverSSH(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	clone, first := newClone(t)

	output, err := r.ssh(t, clone, r.servePush(repo),
		"push", "fd::3,4", "main", "HEAD:refs/heads/b")
	require.NoError(t, err, output)
	require.Equal(t, "HEAD refs/heads/main\nrefs/heads/b "+first+"\nrefs/heads/main "+first,
		r.references(t, repo))

	again := filepath.Join(t.TempDir(), "again")
	output, err = r.ssh(t, "/", r.serveUpload(repo), "clone", "--quiet", "fd::3,4", again)
	require.NoError(t, err, output)
	require.Equal(t, first, runGit(t, again, "rev-parse", "HEAD"))

	// The custom hooks of the repository decide, and their words reach the user.
	hook := filepath.Join(r.path(repo), "custom_hooks", "update")
	require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
	script := []byte("#!/bin/sh\necho not you, $GL_ID; exit 1\n")
	require.NoError(t, os.WriteFile(hook, script, 0o755))
	newCommit(t, clone, "second")
	output, err = r.ssh(t, clone, r.servePush(repo), "push", "fd::3,4", "main")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Contains(t, output, "remote: not you, user-1")
	require.Contains(t, output, "hook declined")
	require.Contains(t, r.references(t, repo), "refs/heads/main "+first)
}

func TestUploadStatistics(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	clone, first := newClone(t)
	_, err := r.post(t.Context(), repo,
		pushBody(t, clone, "", command{zero, first, "refs/heads/main"}))
	require.NoError(t, err)

	var pack strings.Builder
	waiter := r.side.Register(func(conn *sidechannel.ClientConn) error {
		request := pktLine("want "+first+" ofs-delta filter agent=test\n") +
			pktLine("filter blob:none\n") + "0000" + pktLine("have "+first+"\n") + pktLine("done\n")
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		if err := conn.CloseWrite(); err != nil {
			return err
		}
		_, err := io.Copy(&pack, conn)

		return err
	})
	response, err := gitalypb.NewSmartHTTPServiceClient(r.conn).PostUploadPackWithSidechannel(
		waiter.Outgoing(t.Context()),
		&gitalypb.PostUploadPackWithSidechannelRequest{Repository: repo})
	require.NoError(t, err)
	require.NoError(t, waiter.Close())
	require.Contains(t, pack.String(), "PACK")

	statistics := response.GetPackfileNegotiationStatistics()
	require.Equal(t, int64(5), statistics.GetPackets())
	require.Equal(t, int64(1), statistics.GetWants())
	require.Equal(t, int64(1), statistics.GetHaves())
	require.Equal(t, "blob:none", statistics.GetFilter())
	require.Equal(t, []string{"ofs-delta", "filter", "agent=test"}, statistics.GetCaps())
	require.Positive(t, statistics.GetPayloadSize())
}

func pktLine(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }
