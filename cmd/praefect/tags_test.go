package main_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/transaction/failpoint"
)

// TestTaggedBuild builds the program for tests and looks at what it says.
func TestTaggedBuild(t *testing.T) {
	t.Parallel()

	binary := filepath.Join(t.TempDir(), "praefect")
	output, err := exec.CommandContext(t.Context(),
		"go", "build", "-tags", "failpoints,sabotage", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", output)

	list := exec.CommandContext(t.Context(), binary, "version")
	list.Env = append(os.Environ(), "PRAEFECT_SABOTAGE=list")
	output, err = list.Output()
	require.NoError(t, err)
	var variants []string
	for _, variant := range failpoint.Variants() {
		variants = append(variants, string(variant))
	}
	require.Equal(t, variants, strings.Fields(string(output)))

	require.Contains(t, firstLines(t, binary, ""), "THIS PROGRAM IS BUILT FOR TESTS")
	require.Contains(t, firstLines(t, binary, "PRAEFECT_FAILPOINTS=nowhere=/socket"),
		"there is no such point")
	require.Contains(t, firstLines(t, binary, "PRAEFECT_SABOTAGE=nothing"),
		"there is no rule")
}

// firstLines starts the server without a database and returns what it says until it waits for that
// or ends.
func firstLines(t *testing.T, binary, variable string) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.toml")
	require.NoError(t, os.WriteFile(config, []byte("socket_path = \""+dir+"/socket\"\n"+
		"[database]\nhost = \""+dir+"\"\n"+
		"[[virtual_storage]]\nname = \"default\"\n"+
		"[[virtual_storage.node]]\nstorage = \"one\"\naddress = \"unix:"+dir+"/node\"\n"), 0o600))
	command := exec.CommandContext(ctx, binary, "-config", config)
	command.Env = append(os.Environ(), variable)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close() //nolint:errcheck // It was only read.
	command.Stdout, command.Stderr = write, write
	require.NoError(t, command.Start())
	require.NoError(t, write.Close())

	var said strings.Builder
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "BUILT FOR TESTS") && variable == "" {
			cancel()
		}
	}
	require.Error(t, command.Wait())

	return said.String()
}
