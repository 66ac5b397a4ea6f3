package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

const serveHelp, rootHelp = "praefect serve - start the server", "COMMANDS:"

// usage is what a command line leads to.
type usage struct {
	args []string
	code int
	// stdout is a part of it, stderr all of it, as a regular expression.
	stdout, stderr string
}

func (u usage) check(t *testing.T) {
	t.Helper()

	var stdout, stderr bytes.Buffer
	code := run(append([]string{"praefect"}, u.args...), &stdout, &stderr)
	require.Equal(t, u.code, code)
	require.Contains(t, stdout.String(), u.stdout)
	if u.stdout == "" {
		require.Empty(t, stdout.String())
	}
	require.Regexp(t, "^"+u.stderr+"$", stderr.String())
}

// TestCommands pins what scripts and supervisors see of command lines that name no known command,
// or none that can run.
func TestCommands(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]usage{
		"version": {
			args: []string{"-version"}, stdout: "Praefect, version ",
		},
		"version, two dashes": {
			args: []string{"--version"}, stdout: "Praefect, version ",
		},
		"version, short": {
			args: []string{"-v"}, stdout: "Praefect, version ",
		},
		"help": {
			args: []string{"-h"}, stdout: rootHelp,
		},
		"no configuration": {
			code: 2, stdout: serveHelp,
			stderr: `\d{4}/\d\d/\d\d \d\d:\d\d:\d\d Required flag "config" not set\n`,
		},
		"serve without configuration": {
			args: []string{"serve"}, code: 2, stdout: serveHelp,
			stderr: `\d{4}/\d\d/\d\d \d\d:\d\d:\d\d Required flag "config" not set\n`,
		},
		"unknown command": {
			args: []string{"bogus"}, code: 1, stdout: rootHelp,
			stderr: "praefect doesn't accept positional arguments\n",
		},
		"serve with argument": {
			args: []string{"serve", "x"}, code: 1, stdout: serveHelp,
			stderr: "serve doesn't accept positional arguments\n",
		},
		"subcommand with argument": {
			args: []string{"sql-ping", "x"}, code: 1, stdout: "praefect sql-ping - ",
			stderr: "sql-ping doesn't accept positional arguments\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// TestFlags does the same for flags.
func TestFlags(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]usage{
		"unknown flag": {
			args: []string{"-foo"}, code: 1, stdout: rootHelp,
			stderr: "Incorrect Usage: flag provided but not defined: -foo\n\n" +
				"flag provided but not defined: -foo\n",
		},
		"unknown flag of a subcommand": {
			args: []string{"sql-ping", "-foo"}, code: 1,
			stderr: "Incorrect Usage: flag provided but not defined: -foo\n\n" +
				"flag provided but not defined: -foo\n",
		},
		"bad value": {
			args: []string{"dial-nodes", "-timeout", "abc"}, code: 1,
			stderr: `(Incorrect Usage: )?invalid value "abc" for flag -timeout: ` +
				`time: invalid duration "abc"\n\n.*\n`,
		},
		"subcommand without configuration": {
			args: []string{"sql-ping"}, code: 1,
			stderr: "error reading config file: open : no such file or directory\n",
		},
		"missing configuration": {
			args: []string{"-config", "/nonexistent.toml"}, code: 1,
			stderr: "error reading config file: open /nonexistent.toml: " +
				"no such file or directory\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}
