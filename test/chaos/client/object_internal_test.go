package client

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPackIsGits lets Git read what was packed.
func TestPackIsGits(t *testing.T) {
	t.Parallel()

	made, err := newChain(100)
	require.NoError(t, err)
	long := commit(made.tree, made.commits[99], strings.Repeat("long ", 10_000))
	packed, err := pack(append(made.objects, long))
	require.NoError(t, err)

	dir := t.TempDir()
	git := func(input []byte, args ...string) string {
		command := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		command.Stdin = bytes.NewReader(input)
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s", output)

		return strings.TrimSpace(string(output))
	}
	git(nil, "init", "--quiet", "--bare")
	git(packed, "index-pack", "--stdin", "--strict")
	git(nil, "update-ref", "refs/heads/main", long.id())
	git(nil, "fsck", "--strict", "--full")
	require.Equal(t, "101", git(nil, "rev-list", "--count", "main"))
	require.Equal(t, made.commits[99], git(nil, "rev-parse", "main~"))
	require.Equal(t, "content", git(nil, "cat-file", "blob", "main:file"))
}

func TestRequest(t *testing.T) {
	t.Parallel()

	id := strings.Repeat("1", 40)
	require.Equal(t,
		"0069"+zero+" "+id+" refs/heads/a\x00report"+
			"0062"+id+" "+zero+" refs/heads/b"+"0000PACK",
		string(request([]command{
			{reference: "refs/heads/a", value: id}, {reference: "refs/heads/b", old: id},
		}, "report", []byte("PACK"))))
}

func TestReport(t *testing.T) {
	t.Parallel()

	answer := pktLine("unpack ok\n") + pktLine("ok refs/heads/a\n") +
		pktLine("ng refs/heads/b failed to update ref\n") + "0000"
	want := report{"refs/heads/a": "", "refs/heads/b": "failed to update ref"}

	got, err := parseReport(answer)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))

	advertised := pktLine(zero+" capabilities^{}\x00atomic\n") + "0000"
	got, err = parseReport(afterAdvertisement(advertised + answer))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))

	data, messages, err := demultiplex(pktLine("\x02hello ") + pktLine("\x01"+answer[:10]) +
		pktLine("\x02world") + pktLine("\x01"+answer[10:]) + "0000")
	require.NoError(t, err)
	require.Equal(t, "hello world", messages)
	require.Equal(t, answer, data)

	for _, bad := range []string{
		"", "00", "zzzz", "0003", "0010short", pktLine("unpack index-pack failed\n"),
	} {
		_, err := parseReport(bad)
		require.ErrorIs(t, err, errMalformed, bad)
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()

	for _, value := range []string{"", "note"} {
		archive, err := packHooks(value)
		require.NoError(t, err)
		got, err := unpackHooks(archive)
		require.NoError(t, err)
		require.Equal(t, value, got)
	}
	_, err := unpackHooks([]byte("no archive"))
	require.Error(t, err)
}
