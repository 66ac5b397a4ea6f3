package link_test

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/test/chaos/link"
	"praefect/test/cluster"
)

const (
	patience = 10 * time.Second
	moment   = 100 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo serves connections by sending back what comes, behind a name.
func echo(t *testing.T, name string) string {
	t.Helper()

	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close() //nolint:errcheck // The client's end.
				_, _ = io.WriteString(conn, name)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()

	return listener.Addr().String()
}

func open(t *testing.T, who func(net.Addr) string) (*link.Door, string) {
	t.Helper()

	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	door, err := link.NewDoor(link.Config{
		Owner: "proxy", To: "node", Address: address, Who: who,
		Dial: link.Dialer("tcp", echo(t, ">")),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, door.Close()) })

	return door, address
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()

	conn, err := link.Dialer("tcp", address)(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	return conn
}

// dialAndExpect fails like what fails first: a connection that is reset at once may be so before
// dialling has returned.
func dialAndExpect(t *testing.T, address, text string) error {
	t.Helper()

	conn, err := link.Dialer("tcp", address)(t.Context())
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = conn.Close() })

	return expect(t, conn, text, patience)
}

// expect reads text, or what there is of it until the patience ends.
func expect(t *testing.T, conn net.Conn, text string, patience time.Duration) error {
	t.Helper()

	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	buffer := make([]byte, len(text))
	_, err := io.ReadFull(conn, buffer)
	if err == nil {
		require.Equal(t, text, string(buffer))
	}

	return err
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()

	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

func TestCarries(t *testing.T) {
	t.Parallel()

	_, address := open(t, nil)
	conn := dial(t, address)
	long := strings.Repeat("0123456789", 100_000)
	done := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, long)
		done <- err
	}()
	require.NoError(t, expect(t, conn, ">"+long, patience))
	require.NoError(t, <-done)

	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.CloseWrite())
	require.ErrorIs(t, expect(t, conn, "x", patience), io.EOF)
}

func TestStalls(t *testing.T) {
	t.Parallel()

	door, address := open(t, nil)
	before := dial(t, address)
	require.NoError(t, expect(t, before, ">", patience))

	door.Link().Set(link.Stalled)
	during := dial(t, address)
	say(t, before, "one")
	require.ErrorIs(t, expect(t, before, "one", moment), os.ErrDeadlineExceeded)
	require.ErrorIs(t, expect(t, during, ">", moment), os.ErrDeadlineExceeded)

	door.Link().Set(link.Open)
	require.NoError(t, expect(t, before, "one", patience))
	require.NoError(t, expect(t, during, ">", patience))
}

func TestRefuses(t *testing.T) {
	t.Parallel()

	door, address := open(t, nil)
	before := dial(t, address)
	require.NoError(t, expect(t, before, ">", patience))

	require.NoError(t, door.Refuse())
	require.NoError(t, door.Refuse(), "twice is fine")
	require.ErrorIs(t, expect(t, before, "x", patience), syscall.ECONNRESET)
	_, err := link.Dialer("tcp", address)(t.Context())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	require.NoError(t, door.Allow())
	require.NoError(t, door.Allow(), "twice is fine")
	require.NoError(t, expect(t, dial(t, address), ">", patience))
}

// TestTellsPartiesApart lets two parties use the same door.
func TestTellsPartiesApart(t *testing.T) {
	t.Parallel()

	// This process is one of them; connections of others are the owner's.
	process := map[string]int{"other": os.Getpid(), "nobody": 1 << 30}
	door, address := open(t, func(from net.Addr) string { return link.Owner(from, process) })
	conn := dial(t, address)
	require.NoError(t, expect(t, conn, ">", patience))

	door.Other("other").Set(link.Refused)
	require.ErrorIs(t, expect(t, conn, "x", patience), syscall.ECONNRESET)
	require.ErrorIs(t, dialAndExpect(t, address, ">"), syscall.ECONNRESET)
	require.Equal(t, link.Open, door.Link().State())

	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	listening := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}
	require.Equal(t, "other", link.Owner(listening, process))
	require.Empty(t, link.Owner(listening, nil))
	require.Empty(t, link.Owner(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, process))
	require.Empty(t, link.Owner(&net.UnixAddr{}, process))
}

func TestBalances(t *testing.T) {
	t.Parallel()

	closed, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	targets := []link.Target{
		link.NewTarget("a", echo(t, "a")), link.NewTarget("b", echo(t, "b")),
		link.NewTarget("nobody", closed),
	}
	balancer, err := link.NewBalancer(t.Context(), targets)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, balancer.Close()) })

	visit := func() string {
		conn := dial(t, balancer.Address())
		buffer := make([]byte, 1)
		_, err := io.ReadFull(conn, buffer)
		require.NoError(t, err)
		require.Equal(t, string(buffer), balancer.Behind(conn.LocalAddr()))

		return string(buffer)
	}

	seen := map[string]int{}
	for range 6 {
		seen[visit()]++
	}
	require.Len(t, seen, 2)

	targets[0].Link.Set(link.Refused)
	for range 3 {
		require.Equal(t, "b", visit())
	}
	targets[1].Link.Set(link.Refused)
	require.ErrorIs(t,
		expect(t, dial(t, balancer.Address()), "x", patience), syscall.ECONNRESET)
}

func TestClosesWhateverTheState(t *testing.T) {
	t.Parallel()

	for _, state := range []link.State{link.Open, link.Stalled, link.Refused} {
		door, address := open(t, nil)
		conn, err := link.Dialer("tcp", address)(context.Background())
		require.NoError(t, err)
		door.Link().Set(state)
		require.NoError(t, door.Close())
		require.NoError(t, conn.Close())
	}
}
