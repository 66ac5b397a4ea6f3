package wire_test

import (
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"praefect/proxy/wire"
)

// oracle is a message of which only the fields on one path are known, and strings are bytes: a
// decoder of it reads whatever the scanner may look at and keeps the rest as it came.
type oracle struct {
	path []int32
	root protoreflect.MessageDescriptor
}

// newOracle describes messages in each other as deep as the path, with a repository in the last.
func newOracle(t testing.TB, path ...int32) oracle {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{
		Name: new("oracle.proto"), Syntax: new("proto3"),
	}
	optional := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	name := func(depth int) string { return "M" + string(rune('0'+depth)) }
	for depth, number := range path {
		file.MessageType = append(file.MessageType, &descriptorpb.DescriptorProto{
			Name: new(name(depth)),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: new("next"), Number: new(number), Label: optional,
				Type:     descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
				TypeName: new("." + name(depth+1)),
			}},
		})
	}
	repository := &descriptorpb.DescriptorProto{Name: new(name(len(path)))}
	for number, field := range map[int32]string{2: "storage", 3: "path"} {
		repository.Field = append(repository.Field, &descriptorpb.FieldDescriptorProto{
			Name: new(field), Number: new(number), Label: optional,
			Type: descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum(),
		})
	}
	file.MessageType = append(file.MessageType, repository)
	described, err := protodesc.NewFile(file, nil)
	require.NoError(t, err)
	return oracle{path: path, root: described.Messages().ByName("M0")}
}

// decode returns the message and the repository in it, nil if there is none.
func (o oracle) decode(msg []byte) (*dynamicpb.Message, protoreflect.Message, error) {
	decoded := dynamicpb.NewMessage(o.root)
	if err := proto.Unmarshal(msg, decoded); err != nil {
		return nil, nil, err
	}
	var inner protoreflect.Message = decoded
	for range o.path {
		next := inner.Descriptor().Fields().ByName("next")
		if !inner.Has(next) {
			return decoded, nil, nil
		}
		inner = inner.Get(next).Message()
	}
	return decoded, inner, nil
}

func field(message protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return message.Descriptor().Fields().ByName(name)
}

// FuzzHostile gives the scanner any bytes. It must accept what a decoder accepts and nothing else,
// say where something is wrong, and change the two strings of the repository and nothing else, down
// to the bytes of fields that nobody knows.
func FuzzHostile(f *testing.F) {
	for _, seed := range [][]byte{
		nil,
		{0x0a},
		{0x0a, 0x7f, 1},
		{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f},
		{0x0b},
		{0x0c},
		{0x07},
		{0x0a, 0x80, 0x00},
		{0x00},
		{0x80},
		inner(1, text(2, "\xff"), text(3, "b")),
		inner(1, text(2, "a"), text(3, "\xc0\x80")),
		join(inner(1, text(2, "\xff")), inner(1, text(2, "a"), text(3, "b"))),
		join(number(1, 7), inner(1, number(2, 1), number(3, 1))),
		inner(1, inner(1, text(2, "a"), text(3, "b")), []byte{0x12, 0x05, 'x'}),
		append(inner(1, text(2, "a"), text(3, "b")), 0x1b, 0x08, 0x01, 0x1c),
		append(inner(1, text(2, "a"), text(3, "b")), 0x1b, 0x08, 0x01),
		inner(2, inner(1, inner(2, text(3, "a")), text(2, "a"))),
	} {
		f.Add(seed, "gitaly-1", "@cluster/repositories/6b/86/1")
	}
	oracles := []oracle{newOracle(f, 1), newOracle(f, 2), newOracle(f, 1, 1), newOracle(f, 2, 1)}
	f.Fuzz(func(t *testing.T, msg []byte, storage, path string) {
		for _, o := range oracles {
			o.hold(t, msg, wire.Repository{StorageName: storage, RelativePath: path})
		}
	})
}

// hold holds the scanner against the oracle.
func (o oracle) hold(t *testing.T, msg []byte, to wire.Repository) {
	t.Helper()
	before := string(msg)
	got, found, err := wire.Locate(msg, o.path)
	decoded, repository, broken := o.decode(msg)
	switch {
	case broken != nil:
		requireMalformed(t, err)
		return
	case repository == nil:
		require.NoError(t, err)
		require.False(t, found)
		_, err = wire.Rewrite(nil, msg, wire.Edit{Path: o.path, Repository: to})
		require.ErrorIs(t, err, wire.ErrAbsent)
		return
	}
	storage, path := field(repository, "storage"), field(repository, "path")
	wantStorage, wantPath := repository.Get(storage).Bytes(), repository.Get(path).Bytes()
	if !utf8.Valid(wantStorage) || !utf8.Valid(wantPath) {
		requireMalformed(t, err)
		return
	}
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, wire.Repository{
		StorageName: string(wantStorage), RelativePath: string(wantPath),
	}, got)

	out, err := wire.Rewrite(nil, msg, wire.Edit{Path: o.path, Repository: to})
	require.NoError(t, err)
	require.LessOrEqual(t, len(out), len(msg)+len(to.StorageName)+len(to.RelativePath)+64)
	require.Equal(t, before, string(msg), "it does not change what it is given")
	repository.Set(storage, protoreflect.ValueOfBytes([]byte(to.StorageName)))
	repository.Set(path, protoreflect.ValueOfBytes([]byte(to.RelativePath)))
	after, _, err := o.decode(out)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(decoded, after, protocmp.Transform()))
}

// requireMalformed asserts that an error says where a message is malformed.
func requireMalformed(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, wire.ErrMalformed)
	var syntax *wire.SyntaxError
	require.ErrorAs(t, err, &syntax)
	require.Error(t, syntax.Err)
}
