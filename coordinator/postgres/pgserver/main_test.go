package pgserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"praefect/coordinator/postgres/pgserver"
)

// ownerVariable makes the test binary play the process that owns a server.
const ownerVariable = "PGSERVER_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) != "" {
		own()
	}
	goleak.VerifyTestMain(m)
}

// own starts a server, says where, and waits to be killed.
func own() {
	server, err := pgserver.Start(context.Background(), pgserver.Config{})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stdout, "error:", err)
		panic(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, server.Host())
	_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
}
