package proxy

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"praefect/proxy/gitalypb"
	"praefect/proxy/relay"
)

// given is a stream from which messages are received.
type given struct {
	recorded
	messages [][]byte
	end      error
}

// RecvMsg implements grpc.ServerStream. It cuts messages of more than 64 bytes into two pieces.
func (g *given) RecvMsg(message any) error {
	if len(g.messages) == 0 {
		return g.end
	}
	next := g.messages[0]
	g.messages = g.messages[1:]
	pieces := mem.BufferSlice{mem.SliceBuffer(next)}
	switch {
	case len(next) == 0:
		pieces = nil
	case len(next) > 64:
		pieces = mem.BufferSlice{mem.SliceBuffer(next[:64]), mem.SliceBuffer(next[64:])}
	}
	received, _ := message.(*relay.Frame)
	*received = relay.NewFrame(pieces)
	return nil
}

func input(t *testing.T, data string) []byte {
	t.Helper()
	message, err := proto.Marshal(&gitalypb.PostReceivePackRequest{Data: []byte(data)})
	require.NoError(t, err)
	return message
}

// inputs are messages with these pieces of the input.
func inputs(t *testing.T, pieces ...string) [][]byte {
	t.Helper()
	messages := make([][]byte, len(pieces))
	for i, piece := range pieces {
		messages[i] = input(t, piece)
	}
	return messages
}

// TestCommands looks at the beginnings of pushes.
func TestCommands(t *testing.T) {
	t.Parallel()
	opening, err := proto.Marshal(&gitalypb.PostReceivePackRequest{
		Repository: &gitalypb.Repository{StorageName: "s"}, GlId: "user-1",
	})
	require.NoError(t, err)
	twice := protowire.AppendString(
		append(input(t, "0000"), protowire.AppendTag(nil, inputField, protowire.BytesType)...),
		"00a5")
	lost := errors.New("client is lost")
	for name, tc := range map[string]struct {
		first []byte
		rest  [][]byte
		end   error
		none  bool
	}{
		"empty list":                {opening, inputs(t, "0000"), io.EOF, true},
		"empty list at once":        {input(t, "0000"), nil, io.EOF, true},
		"empty list, and more":      {opening, inputs(t, "0000PACK"), io.EOF, true},
		"empty list, client lost":   {opening, inputs(t, "0000"), lost, true},
		"in pieces":                 {opening, inputs(t, "0", "", "000"), io.EOF, true},
		"no input":                  {opening, nil, io.EOF, true},
		"no input, client lost":     {opening, nil, lost, false},
		"a piece, client lost":      {opening, inputs(t, "000"), lost, false},
		"a command":                 {opening, inputs(t, "00a5"), io.EOF, false},
		"a command, then a flush":   {opening, inputs(t, "00a5", "0000"), io.EOF, false},
		"a command in pieces":       {opening, inputs(t, "00", "a5"), io.EOF, false},
		"a shallow line":            {opening, inputs(t, "0035shallow"), io.EOF, false},
		"two values, the last wins": {opening, [][]byte{twice}, io.EOF, false},
		"nonsense":                  {opening, [][]byte{{0xff}}, io.EOF, false},
		"nonsense at once":          {[]byte{0xff}, nil, io.EOF, false},
		"large": {
			opening, inputs(t, "0000"+string(make([]byte, 100))), io.EOF, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &call{stream: &given{messages: tc.rest, end: tc.end}, message: tc.first}
			watched := watchCommands(c)
			var received error
			for received == nil {
				received = watched.RecvMsg(new(relay.Frame))
			}
			require.ErrorIs(t, received, tc.end)
			require.Equal(t, tc.none, watched.none())
		})
	}
	require.False(t, (*commands)(nil).none(), "other calls have no commands")
}
