//go:build failpoints

package failpoint

import (
	"fmt"
	"net"
	"os"
	"sync"
)

const stoppable = true

// armed are the points that the environment names. A variable of the package because the places
// that it serves have nothing in common but their process.
//
//nolint:gochecknoglobals // see above; it is read once and not changed
var armed = sync.OnceValues(func() (points, error) {
	return parse(os.Getenv("PRAEFECT_FAILPOINTS"))
})

// Hit says that this process has arrived at a point, and waits there if the environment asks for
// it.
func Hit(point Point) {
	found, err := armed()
	if err != nil {
		return // Check has told.
	}
	if socket, stop := found.arrive(point); stop {
		wait(socket, point)
	}
}

func checkPoints() error {
	_, err := armed()
	return err
}

// wait waits until whoever listens lets this process go on, or listens no more.
func wait(socket string, point Point) {
	//nolint:noctx // A socket on the same machine answers or refuses at once.
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return // Nobody listens.
	}
	defer conn.Close() //nolint:errcheck // What was to be said is said.
	if _, err := fmt.Fprintf(conn, "%s %d\n", point, os.Getpid()); err != nil {
		return
	}
	var one [1]byte
	_, _ = conn.Read(one[:]) // A byte and the end of the connection mean the same.
}
