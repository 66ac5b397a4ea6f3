package main

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v3"
)

// page reads what operators read.
func page(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("../../" + name)
	require.NoError(t, err)

	return string(content)
}

// names are the commands of the program, in the order of its help.
func names() []string {
	var found []string
	for _, command := range newRoot(io.Discard, io.Discard).Commands {
		found = append(found, command.Name)
	}

	return found
}

// TestDocumentedCommands compares the commands that the pages list with those that there are.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	for file, pattern := range map[string]string{
		"docs/commands.md": "(?m)^## `([a-z-]+)`$",
		"README.md":        "(?m)^\\| \\[`([a-z-]+)`\\]\\(docs/commands.md#[a-z-]+\\) \\|",
	} {
		var listed []string
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(
			page(t, file), -1) {
			listed = append(listed, match[1])
		}
		require.Equal(t, names(), listed, file)
	}
}

// flagsOf are the flags of a command without that for help.
func flagsOf(command *cli.Command) []string {
	var found []string
	for _, flag := range command.Flags {
		for _, name := range flag.Names() {
			if name != "help" && name != "h" {
				found = append(found, name)
			}
		}
	}

	return found
}

// TestDocumentedFlags compares the flags in the section of each command with those that it takes.
func TestDocumentedFlags(t *testing.T) {
	t.Parallel()
	sections := strings.Split(page(t, "docs/commands.md"), "\n## `")[1:]
	row := regexp.MustCompile("(?m)^\\| `(-.*)` \\|")
	flag := regexp.MustCompile("(?:^|`)-([a-z-]+)")
	for i, command := range newRoot(io.Discard, io.Discard).Commands {
		var documented []string
		for _, line := range row.FindAllStringSubmatch(sections[i], -1) {
			for _, match := range flag.FindAllStringSubmatch(line[1], -1) {
				documented = append(documented, match[1])
			}
		}
		taken := flagsOf(command)
		slices.Sort(taken)
		slices.Sort(documented)
		require.Equal(t, taken, documented, command.Name)
	}
}
