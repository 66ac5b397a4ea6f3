package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"praefect/proxy/gitalypb"
	"praefect/proxy/wire"
)

// FuzzRewrite holds both functions against a real decoder: whatever it accepts must be read
// alike, and a rewritten message must decode to the same message with the new values.
func FuzzRewrite(f *testing.F) {
	f.Add([]byte(nil), "", "")
	f.Add(inner(1, text(2, "a"), text(3, "b")), "s", "p")
	f.Add(join(inner(1, inner(1, text(2, "a"))), inner(2, text(3, "b"), number(9, 1))), "s", "p")
	f.Add(join(inner(1, text(2, "a")), inner(1, text(3, "b")), inner(1)), "longer than it was", "")
	f.Add(encode(f, &gitalypb.LinkRepositoryToObjectPoolRequest{
		ObjectPool: &gitalypb.ObjectPool{Repository: &gitalypb.Repository{StorageName: "x"}},
		Repository: &gitalypb.Repository{RelativePath: "y", GlProjectPath: "z"},
	}), "s", "p")
	f.Fuzz(func(t *testing.T, msg []byte, storage, path string) {
		var decoded gitalypb.LinkRepositoryToObjectPoolRequest
		if err := proto.Unmarshal(msg, &decoded); err != nil {
			return
		}
		target := check(t, msg, []int32{2}, decoded.GetRepository())
		pool := check(t, msg, []int32{1, 1}, decoded.GetObjectPool().GetRepository())
		if !valid(storage) || !valid(path) {
			return
		}
		var edits []wire.Edit
		replaced := wire.Repository{StorageName: storage, RelativePath: path}
		if target {
			edits = append(edits, wire.Edit{Path: []int32{2}, Repository: replaced})
			decoded.Repository.StorageName, decoded.Repository.RelativePath = storage, path
		}
		if pool {
			edits = append(edits, wire.Edit{Path: []int32{1, 1}, Repository: replaced})
			repository := decoded.GetObjectPool().GetRepository()
			repository.StorageName, repository.RelativePath = storage, path
		}
		out, err := wire.Rewrite(nil, msg, edits...)
		require.NoError(t, err)
		var after gitalypb.LinkRepositoryToObjectPoolRequest
		require.NoError(t, proto.Unmarshal(out, &after))
		require.Empty(t, cmp.Diff(&decoded, &after, protocmp.Transform()))
	})
}

// check compares what is located with what was decoded, and returns whether it is there.
func check(t *testing.T, msg []byte, path []int32, want *gitalypb.Repository) bool {
	t.Helper()
	got, found, err := wire.Locate(msg, path)
	require.NoError(t, err)
	require.Equal(t, want != nil, found)
	require.Equal(t, want.GetStorageName(), got.StorageName)
	require.Equal(t, want.GetRelativePath(), got.RelativePath)
	return found
}

func valid(text string) bool {
	_, err := proto.Marshal(&gitalypb.Repository{StorageName: text})
	return err == nil
}
