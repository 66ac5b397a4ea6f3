package digest_test

import (
	"archive/tar"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/digest"
	"praefect/proxy/gitalypb"
)

// GetSnapshot sends the archive, and fails if it is read to its end: the objects would follow.
func (s *service) GetSnapshot(
	_ *gitalypb.GetSnapshotRequest, stream grpc.ServerStreamingServer[gitalypb.GetSnapshotResponse],
) error {
	if s.snapshot == nil {
		return status.Error(codes.Unimplemented, "unknown method")
	}
	if err := stream.Send(&gitalypb.GetSnapshotResponse{Data: s.snapshot}); err != nil {
		return err
	}
	return s.fail
}

// snapshot is an archive with files of a content each, as Gitaly sends them.
func snapshot(t *testing.T, head string, names ...string) []byte {
	t.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, name := range append([]string{"HEAD"}, names...) {
		require.NoError(t, writer.WriteHeader(&tar.Header{
			Name: name, Mode: 0o644, Size: int64(len(head)),
		}))
		_, err := writer.Write([]byte(head))
		require.NoError(t, err)
	}
	require.NoError(t, writer.Flush())
	return archive.Bytes()
}

func TestLocks(t *testing.T) {
	t.Parallel()
	broken := status.Error(codes.Unavailable, "gone")
	for name, tc := range map[string]struct {
		files []string
		fail  error
		want  string
	}{
		"none": {
			files: []string{"packed-refs", "refs/heads/main", "objects/info/x"},
			fail:  broken, want: digest.NoLocks,
		},
		"locked": {
			files: []string{"refs/heads/new.lock", "refs/heads/a.lock", "objects/pack/x"},
			fail:  broken, want: "locks: refs/heads/a.lock refs/heads/new.lock",
		},
		"reftable": {
			files: []string{"reftable/tables.list.lock", "objects/pack/x"},
			want:  "locks: reftable/tables.list.lock",
		},
		"no objects": {
			files: []string{"refs/heads/x.lock"}, want: "locks: refs/heads/x.lock",
		},
		"node fails early": {files: []string{"refs/heads/x.lock"}, fail: broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := ask(t, &service{
				snapshot: snapshot(t, "ref: refs/heads/main\n", tc.files...), fail: tc.fail,
			}, digest.Locks)
			if tc.want == "" {
				require.ErrorContains(t, err, "gone")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, found)
		})
	}
	found, err := ask(t, &service{}, digest.Locks)
	require.NoError(t, err, "a node without the call")
	require.Equal(t, digest.NoLocks, found)
}

// TestDetachedHead has nodes that fail when they are asked what HEAD points to. Only if HEAD holds
// the object that it leads to, that is an answer.
func TestDetachedHead(t *testing.T) {
	t.Parallel()
	refs := func(send func(...string) error) error { return send("HEAD", "refs/heads/main") }
	attached, err := ask(t, &service{refs: refs}, digest.References)
	require.NoError(t, err)
	detached, err := ask(t, &service{
		refs: refs, headless: true, snapshot: snapshot(t, object+"\n", "refs/heads/main"),
	}, digest.References)
	require.NoError(t, err)
	require.NotEqual(t, attached, detached)

	for name, archive := range map[string][]byte{
		"a symbolic HEAD": snapshot(t, "ref: refs/heads/main\n"),
		"another object":  snapshot(t, object+"0\n"),
		"no snapshot":     nil,
	} {
		_, err := ask(t, &service{refs: refs, headless: true, snapshot: archive},
			digest.References)
		require.Equal(t, codes.Internal, status.Code(err), name)
	}
}
