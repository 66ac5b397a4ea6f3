package wire_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"praefect/proxy/gitalypb"
	"praefect/proxy/wire"
)

func encode(tb testing.TB, message proto.Message) []byte {
	tb.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	require.NoError(tb, err)
	return data
}

// inner returns a repository as a field of the message around it.
func inner(number protowire.Number, content ...[]byte) []byte {
	var all []byte
	for _, part := range content {
		all = append(all, part...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), all)
}

func text(number protowire.Number, value string) []byte {
	return protowire.AppendString(
		protowire.AppendTag(nil, number, protowire.BytesType), value,
	)
}

func number(field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), value)
}

func edit(storage, path string, numbers ...int32) wire.Edit {
	return wire.Edit{
		Path:       numbers,
		Repository: wire.Repository{StorageName: storage, RelativePath: path},
	}
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func TestLocate(t *testing.T) {
	t.Parallel()
	repository := &gitalypb.Repository{
		StorageName: "default", RelativePath: "@hashed/aa/bb/x.git", GlRepository: "project-1",
	}
	want := wire.Repository{StorageName: "default", RelativePath: "@hashed/aa/bb/x.git"}
	for name, tc := range map[string]struct {
		message proto.Message
		path    []int32
	}{
		"top level": {repository, nil},
		"plain": {
			&gitalypb.FindCommitRequest{Repository: repository, Revision: []byte("x")},
			[]int32{1},
		},
		"header": {
			&gitalypb.UserCommitFilesRequest{
				UserCommitFilesRequestPayload: &gitalypb.UserCommitFilesRequest_Header{
					Header: &gitalypb.UserCommitFilesRequestHeader{
						Repository: repository, BranchName: []byte("main"),
					},
				},
			},
			[]int32{1, 1},
		},
		"pool": {
			&gitalypb.FetchIntoObjectPoolRequest{
				Origin:     &gitalypb.Repository{StorageName: "other"},
				ObjectPool: &gitalypb.ObjectPool{Repository: repository},
			},
			[]int32{2, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, found, err := wire.Locate(encode(t, tc.message), tc.path)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, want, got)
		})
	}
}

// A repository that is not there, or has nothing in it.
func TestLocateNothing(t *testing.T) {
	t.Parallel()
	absent := encode(t, &gitalypb.FindCommitRequest{Trailers: true})
	pool := encode(t, &gitalypb.FetchIntoObjectPoolRequest{ObjectPool: &gitalypb.ObjectPool{}})
	for name, tc := range map[string]struct {
		msg   []byte
		path  []int32
		found bool
	}{
		"absent":          {absent, []int32{1}, false},
		"empty message":   {nil, []int32{1}, false},
		"empty pool":      {pool, []int32{2, 1}, false},
		"scalar instead":  {number(1, 7), []int32{1}, false},
		"present, empty":  {inner(1), []int32{1}, true},
		"number for name": {inner(1, number(2, 7)), []int32{1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, found, err := wire.Locate(tc.msg, tc.path)
			require.NoError(t, err)
			require.Equal(t, tc.found, found)
			require.Equal(t, wire.Repository{}, got)
		})
	}
}

// Messages that occur twice are merged and the last scalar wins, at every depth.
func TestMerge(t *testing.T) {
	t.Parallel()
	for name, msg := range map[string][]byte{
		"scalar twice":  inner(2, inner(1, text(2, "old"), text(3, "path"), text(2, "storage"))),
		"message twice": inner(2, inner(1, text(2, "storage")), inner(1, text(3, "path"))),
		"split above": join(
			inner(2, inner(1, text(2, "storage"), text(3, "old"))),
			inner(2, inner(1, text(3, "path"))),
		),
		"empty last": join(
			inner(2, inner(1, text(2, "storage"), text(3, "path"))),
			inner(2, inner(1)),
		),
		"unknown kept": join(
			number(99, 1),
			inner(2, text(77, "?"), inner(1, text(3, "path"), text(2, "storage"), number(2, 5))),
		),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var before gitalypb.FetchIntoObjectPoolRequest
			require.NoError(t, proto.Unmarshal(msg, &before))

			got, found, err := wire.Locate(msg, []int32{2, 1})
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, wire.Repository{StorageName: "storage", RelativePath: "path"}, got)

			replaced := wire.Repository{StorageName: strings.Repeat("s", 200), RelativePath: "p"}
			out, err := wire.Rewrite(nil, msg, wire.Edit{Path: []int32{2, 1}, Repository: replaced})
			require.NoError(t, err)
			var after gitalypb.FetchIntoObjectPoolRequest
			require.NoError(t, proto.Unmarshal(out, &after))
			before.GetObjectPool().GetRepository().StorageName = replaced.StorageName
			before.GetObjectPool().GetRepository().RelativePath = replaced.RelativePath
			require.Empty(t, cmp.Diff(&before, &after, protocmp.Transform()))
		})
	}
}

// What a rewrite gives for a message that was encoded as usual is what encoding the changed
// message gives, byte for byte.
func TestRewriteIsCanonical(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 63, 120, 127, 128, 129, 16000, 20000} {
		request := &gitalypb.LinkRepositoryToObjectPoolRequest{
			ObjectPool: &gitalypb.ObjectPool{Repository: &gitalypb.Repository{
				StorageName: "default", RelativePath: "@pools/aa/bb/pool.git",
			}},
			Repository: &gitalypb.Repository{
				StorageName: "default", RelativePath: "group/project.git",
				GitAlternateObjectDirectories: []string{"a", "b"}, GlRepository: "project-7",
			},
		}
		msg := encode(t, request)
		before := strings.Clone(string(msg))
		path := strings.Repeat("p", size)
		out, err := wire.Rewrite([]byte("prefix"), msg,
			edit("gitaly-1", path, 2),
			edit("g", path+path, 1, 1),
		)
		require.NoError(t, err)
		require.Equal(t, before, string(msg), "input changed")

		request.Repository.StorageName, request.Repository.RelativePath = "gitaly-1", path
		pool := request.GetObjectPool().GetRepository()
		pool.StorageName, pool.RelativePath = "g", path+path
		require.Equal(t, "prefix"+string(encode(t, request)), string(out), "size %d", size)
	}
}

// A string that was not there is added, to the last occurrence of the message.
func TestRewriteAdds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		msg, want []byte
	}{
		"both": {inner(1), inner(1, text(2, "s"), text(3, "p"))},
		"one": {
			inner(1, text(2, "old"), text(6, "gl")),
			inner(1, text(2, "s"), text(6, "gl"), text(3, "p")),
		},
		"last occurrence": {
			join(inner(1, text(6, "gl")), inner(1, text(2, "old")), number(5, 1)),
			join(inner(1, text(6, "gl")), inner(1, text(2, "s"), text(3, "p")), number(5, 1)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := wire.Rewrite(nil, tc.msg, wire.Edit{
				Path: []int32{1}, Repository: wire.Repository{StorageName: "s", RelativePath: "p"},
			})
			require.NoError(t, err)
			require.Equal(t, tc.want, out)
		})
	}
	// The inner and the outer message end at the same byte.
	out, err := wire.Rewrite(nil, inner(1, inner(1)),
		edit("o", "p", 1), edit("i", "q", 1, 1))
	require.NoError(t, err)
	require.Equal(t, inner(1,
		inner(1, text(2, "i"), text(3, "q")), text(2, "o"), text(3, "p")), out)
}

func TestString(t *testing.T) {
	t.Parallel()
	msg := encode(t, &gitalypb.FindRemoteRepositoryRequest{Remote: "url", StorageName: "default"})
	got, err := wire.LocateString(msg, []int32{2})
	require.NoError(t, err)
	require.Equal(t, "default", got)

	out, err := wire.RewriteString(nil, msg, []int32{2}, "gitaly-1")
	require.NoError(t, err)
	require.Equal(t, encode(t,
		&gitalypb.FindRemoteRepositoryRequest{Remote: "url", StorageName: "gitaly-1"}), out)

	got, err = wire.LocateString(nil, []int32{2})
	require.NoError(t, err)
	require.Empty(t, got)
	out, err = wire.RewriteString(nil, nil, []int32{2}, "x")
	require.NoError(t, err)
	require.Equal(t, text(2, "x"), out)
	out, err = wire.RewriteString(nil, inner(1, text(9, "x")), []int32{1, 3}, "y")
	require.NoError(t, err)
	require.Equal(t, inner(1, text(9, "x"), text(3, "y")), out)
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	good := inner(1, text(2, "storage"), text(3, "path"))
	for name, tc := range map[string]struct {
		msg    []byte
		offset int
	}{
		"no tag":           {[]byte{0x80}, 0},
		"field zero":       {join(good, []byte{0x02, 0x00}), len(good)},
		"short bytes":      {join(good, []byte{0x12, 0x05, 'x'}), len(good) + 1},
		"short number":     {join(good, []byte{0x18, 0xff}), len(good) + 1},
		"inside":           {inner(1, []byte{0x12, 0x05, 'x'}), 3},
		"storage not text": {inner(1, text(2, "a\xff")), 4},
		"open group":       {join(good, []byte{0x23}), len(good) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := wire.Locate(tc.msg, []int32{1})
			require.ErrorIs(t, err, wire.ErrMalformed)
			var syntax *wire.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, tc.offset, syntax.Offset)

			_, err = wire.Rewrite(nil, tc.msg, wire.Edit{Path: []int32{1}})
			require.ErrorIs(t, err, wire.ErrMalformed)
			require.Error(t, proto.Unmarshal(tc.msg, &gitalypb.FindCommitRequest{}))
		})
	}
}

func TestImpossible(t *testing.T) {
	t.Parallel()
	good := inner(1, text(2, "storage"), text(3, "path"))
	one := wire.Edit{Path: []int32{1}}

	_, err := wire.Rewrite(nil, number(9, 1), one)
	require.ErrorIs(t, err, wire.ErrAbsent)
	_, err = wire.RewriteString(nil, nil, []int32{1, 2}, "x")
	require.ErrorIs(t, err, wire.ErrAbsent)
	_, err = wire.Rewrite(nil, good, one, one)
	require.ErrorIs(t, err, wire.ErrPath)
	_, err = wire.Rewrite(nil, good, one, one, one)
	require.ErrorIs(t, err, wire.ErrPath)
	_, err = wire.RewriteString(nil, good, nil, "x")
	require.ErrorIs(t, err, wire.ErrPath)
	_, err = wire.LocateString(good, nil)
	require.ErrorIs(t, err, wire.ErrPath)
	_, _, err = wire.Locate(good, []int32{1, 1, 1, 1, 1})
	require.ErrorIs(t, err, wire.ErrPath)
}
