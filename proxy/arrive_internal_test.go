package proxy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"praefect/proxy/method"
	"praefect/proxy/relay"
	"praefect/proxy/wire"
)

// sent is a stream on which a client has sent one message.
type sent struct {
	grpc.ServerStream
	message []byte
}

// RecvMsg implements grpc.ServerStream.
func (s sent) RecvMsg(message any) error {
	frame, ok := message.(*relay.Frame)
	if !ok {
		return errors.New("not a frame")
	}
	*frame = relay.NewFrame(mem.BufferSlice{mem.SliceBuffer(slices.Clone(s.message))})
	return nil
}

// Context implements grpc.ServerStream.
func (sent) Context() context.Context { return context.Background() }

// routable are the methods that look at their first message.
func routable() []*method.Method {
	var all []*method.Method
	for m := range method.Builtin().All() {
		if refusal(m) == nil {
			all = append(all, m)
		}
	}
	return all
}

// FuzzArrive gives any bytes to any method as its first message. Whatever cannot be routed is
// refused with InvalidArgument, which names the field if bytes are wrong; whatever can is addressed
// to a node.
func FuzzArrive(f *testing.F) {
	methods := routable()
	for i, m := range methods {
		if i%20 == 0 || len(m.Additional) > 0 || len(m.Hint) > 0 || len(m.Target) > 1 {
			f.Add(uint8(i), []byte{0x0a, 0x7f, 1})
			f.Add(uint8(i), []byte{0x0a, 0x04, 0x12, 0x02, 0xff, 0xff})
			f.Add(uint8(i), []byte("\x0a\x06\x12\x01a\x1a\x01b\x12\x06\x12\x01a\x1a\x01b"))
			f.Add(uint8(i), []byte("\x0a\x08\x0a\x06\x12\x01a\x1a\x01b"+
				"\x12\x08\x0a\x06\x12\x01a\x1a\x01b"))
		}
	}
	f.Fuzz(func(t *testing.T, index uint8, message []byte) {
		hostile(t, methods[int(index)%len(methods)], message)
	})
}

func hostile(t *testing.T, m *method.Method, message []byte) {
	t.Helper()
	h := &Handler{}
	c, err := h.arrive(sent{message: message}, m)
	if err == nil {
		defer c.first.Free()
		_, err = c.beside()
	}
	if err != nil {
		said := status.Convert(statuses{table: statusTable()}.of(t.Context(), err))
		require.Equal(t, codes.InvalidArgument, said.Code(), err)
		if errors.Is(err, wire.ErrMalformed) {
			require.Contains(t, said.Message(), `field "`)
		}
		return
	}
	to := place{storage: "node", additionalPath: "other"}
	if len(m.Target) > 0 {
		to.replicaPath = "path"
	}
	rewritten, err := c.rewrite(to)
	require.NoError(t, err)
	defer rewritten.Free()
	seen := rewritten.Data().Materialize()
	if len(m.Target) == 0 {
		storage, err := wire.LocateString(seen, m.Storage)
		require.NoError(t, err)
		require.Equal(t, "node", storage)
		return
	}
	target, _, err := wire.Locate(seen, m.Target)
	require.NoError(t, err)
	require.Equal(t, wire.Repository{StorageName: "node", RelativePath: "path"}, target)
}

// TestMalformedFieldsAreNamed names the field whose bytes are wrong as clients know it.
func TestMalformedFieldsAreNamed(t *testing.T) {
	t.Parallel()
	repository := "\x12\x01a\x1a\x01b"
	for name, tc := range map[string]struct{ method, message, want string }{
		"cut off": {
			"RefService/RefExists", "\x0a\x7f\x01",
			`field "repository": malformed message at offset 1: unexpected EOF`,
		},
		"text": {
			"RefService/RefExists", "\x0a\x03\x1a\x01\xff",
			`field "repository.relative_path": malformed message at offset 4: ` +
				"string is not valid UTF-8",
		},
		"deep": {
			"ObjectPoolService/CreateObjectPool", "\x0a\x05\x0a\x03\x12\x01\xff",
			`field "object_pool.repository.storage_name": malformed message at offset 6: ` +
				"string is not valid UTF-8",
		},
		"additional": {
			"ObjectPoolService/CreateObjectPool",
			"\x0a\x08\x0a\x06" + repository + "\x12\x02\x0a\x09",
			`field "origin": malformed message at offset 13: unexpected EOF`,
		},
		"storage": {
			"RemoteService/FindRemoteRepository", "\x12\x01\xff",
			`field "storage_name": malformed message at offset 2: string is not valid UTF-8`,
		},
		"source of a fork": {
			"RepositoryService/CreateFork", "\x0a\x06" + repository + "\x12\x02\x0a\x09",
			`field "source_repository": malformed message at offset 11: unexpected EOF`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, known := method.Builtin().Lookup("/gitaly." + tc.method)
			require.True(t, known)
			c, err := (&Handler{}).arrive(sent{message: []byte(tc.message)}, m)
			if err == nil {
				_, err = c.beside()
			}
			require.Error(t, err)
			require.True(t, strings.HasSuffix(err.Error(), tc.want), err)
		})
	}
}
