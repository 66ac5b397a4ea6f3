package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVoteLog(t *testing.T) {
	t.Parallel()

	log := &voteLog{path: filepath.Join(t.TempDir(), "log")}
	write := func(text string) {
		file, err := os.OpenFile(log.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = file.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}

	write(`panic: not JSON
{"msg":"started","transaction_id":1}
{"msg":"vote decided","transaction_id":1,"node":"a","phase":"prepared","vote":"0102","decision":"c`)
	votes, err := log.next()
	require.NoError(t, err)
	require.Empty(t, votes, "the line is not whole yet")

	write(`ommit"}` + "\n")
	votes, err = log.next()
	require.NoError(t, err)
	require.Equal(t, []vote{{
		Message: "vote decided", Transaction: 1, Voter: "a", Phase: "prepared", Hash: "0102",
		Decision: "commit",
	}}, votes)

	votes, err = log.next()
	require.NoError(t, err)
	require.Empty(t, votes)
}

func TestTabulate(t *testing.T) {
	t.Parallel()

	require.Equal(t, []string{
		"round  1  prepared     0123456789  a commit  b commit",
		"round  2  committed    aaaa  a commit  b differs, abort",
	}, tabulate([]vote{
		{Voter: "a", Phase: "prepared", Hash: "0123456789ab", Decision: "commit"},
		{Voter: "a", Phase: "committed", Hash: "aaaa", Decision: "commit"},
		{Voter: "b", Phase: "prepared", Hash: "0123456789ab", Decision: "commit"},
		{Voter: "b", Phase: "committed", Hash: "bbbb", Decision: "ABORT"},
	}))
}
