package backchannel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder keeps each write by itself, and fails when its time has come.
type recorder struct {
	net.Conn
	writes [][]byte
	fail   error
}

// Write implements net.Conn.
func (r *recorder) Write(p []byte) (int, error) {
	if r.fail != nil {
		return 0, r.fail
	}
	r.writes = append(r.writes, bytes.Clone(p))
	return len(p), nil
}

func header(kind byte, length int) []byte {
	head := make([]byte, headerLen)
	head[1] = kind
	binary.BigEndian.PutUint32(head[8:], uint32(length))
	return head
}

func TestJoined(t *testing.T) {
	t.Parallel()
	const typeWindow = 1
	body := func(size int) []byte { return bytes.Repeat([]byte{7}, size) }
	for name, tc := range map[string]struct {
		writes [][]byte
		sizes  []int // of what reaches the socket
	}{
		"header and body":         {[][]byte{header(typeData, 5), body(5)}, []int{17}},
		"body as long as headers": {[][]byte{header(typeData, 12), body(12)}, []int{24}},
		"frames without body": {
			[][]byte{header(typeWindow, 99), header(typeData, 0), header(typeData, 1), body(1)},
			[]int{12, 12, 13},
		},
		"body that looks like a header": {
			[][]byte{header(typeData, 12), header(typeData, 1), header(typeWindow, 1)},
			[]int{24, 12},
		},
		"largest joined body": {
			[][]byte{header(typeData, joinedMax), body(joinedMax)}, []int{headerLen + joinedMax},
		},
		"larger body": {
			[][]byte{
				header(typeData, joinedMax+1), body(joinedMax + 1), header(typeData, 1), body(1),
			},
			[]int{headerLen, joinedMax + 1, 13},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := &recorder{}
			conn := newJoined(socket)
			for _, write := range tc.writes {
				n, err := conn.Write(write)
				require.NoError(t, err)
				require.Len(t, write, n)
			}
			var sizes []int
			for _, write := range socket.writes {
				sizes = append(sizes, len(write))
			}
			require.Equal(t, tc.sizes, sizes)
			require.Equal(t, bytes.Join(tc.writes, nil), bytes.Join(socket.writes, nil))
		})
	}
}

func TestJoinedReportsFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	conn := newJoined(&recorder{fail: broken})
	_, err := conn.Write(header(typeData, 3))
	require.NoError(t, err, "it only waits for its body")
	n, err := conn.Write([]byte("abc"))
	require.ErrorIs(t, err, broken)
	require.Zero(t, n)
}
