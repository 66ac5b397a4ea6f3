package node_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/hooks"
)

// byReference repeats the votes of each reference, as Git does that runs one reference transaction
// for each reference of a push.
func byReference(commands []command, votes func(command) []string) []string {
	var all []string
	for _, c := range commands {
		all = append(all, votes(c)...)
	}

	return all
}

// oneTransactionEach tells whether Git runs one reference transaction for each reference of a push
// that is not atomic, as it did before it learnt to queue them.
func oneTransactionEach(t *testing.T) bool {
	t.Helper()

	version := strings.TrimPrefix(runGit(t, "/", "version"), "git version ")

	return strings.HasPrefix(version, "2.3") || strings.HasPrefix(version, "2.4")
}

// pushVotes are the votes of a push.
func pushVotes(t *testing.T, atomic bool, commands ...command) []string {
	t.Helper()

	votes := []string{hookVote("pre-receive")}
	change := func(commands ...command) []string {
		var lines strings.Builder
		for _, c := range commands {
			lines.WriteString(c.line())
		}
		hash := hooks.SumText(lines.String())

		return []string{prepared(hash), committed(hash)}
	}

	if !atomic && oneTransactionEach(t) {
		votes = append(votes, byReference(commands, func(c command) []string {
			return append([]string{hookVote("update")}, change(c)...)
		})...)
	} else {
		votes = append(votes, slices.Repeat([]string{hookVote("update")}, len(commands))...)
		votes = append(votes, change(commands...)...)
	}

	return append(votes, hookVote("post-receive"), final)
}

func TestVotesOfPushes(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	clone, first := newClone(t)
	second := newCommit(t, clone, "second")

	three := []command{
		{zero, first, "refs/heads/a"}, {zero, second, "refs/heads/b"}, {zero, first, "refs/tags/c"},
	}
	both := []command{{first, second, "refs/heads/a"}, {second, first, "refs/heads/b"}}
	for _, tc := range []struct {
		name         string
		primary      bool
		capabilities string
		commands     []command
	}{
		{"one reference, primary", true, "", []command{{zero, first, "refs/heads/one"}}},
		{"one reference, secondary", false, "", []command{{first, second, "refs/heads/one"}}},
		{"three references", false, "", three},
		{"atomic", false, "atomic", both},
		{"deletion", false, "delete-refs", []command{{second, zero, "refs/heads/a"}}},
		{"with side band", false, "side-band-64k", []command{{first, zero, "refs/heads/b"}}},
	} {
		// One after the other: each push starts where the one before ended.
		output, err := r.post(voting(t.Context(), tc.primary), repo,
			pushBody(t, clone, tc.capabilities, tc.commands...))
		require.NoError(t, err, tc.name)
		require.NotContains(t, output, "ng ", tc.name)
		r.votes.require(t, pushVotes(t, tc.capabilities == "atomic", tc.commands...)...)
	}
	require.Equal(t, "HEAD refs/heads/main\nrefs/heads/one "+second+"\nrefs/tags/c "+first,
		r.references(t, repo))
	r.requireNoLocks(t)
}

// Old Git tells the hook about HEAD too when the reference is the one that HEAD points to.
func TestVotesOfAPushToTheDefaultBranch(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	clone, first := newClone(t)
	_, err := r.post(voting(t.Context(), true), repo,
		pushBody(t, clone, "", command{zero, first, "refs/heads/main"}))
	require.NoError(t, err)

	line := hooks.UpdateLine(zero, first, "refs/heads/main")
	if oneTransactionEach(t) {
		line += hooks.UpdateLine(zero, first, "HEAD")
	}
	r.votes.require(t, hookVote("pre-receive"), hookVote("update"),
		prepared(hooks.SumText(line)), committed(hooks.SumText(line)),
		hookVote("post-receive"), final)
}

func TestPushWithoutTransaction(t *testing.T) {
	t.Parallel()

	r := start(t)
	repo := r.create(t, "a.git")
	clone, first := newClone(t)
	_, err := r.post(t.Context(), repo,
		pushBody(t, clone, "", command{zero, first, "refs/heads/main"}))
	require.NoError(t, err)
	r.votes.require(t)
	require.Contains(t, r.references(t, repo), first)
}

// refusedCode is how a push ends whose vote number at is refused: Git itself reports what the hooks
// of the push refuse, and dies when its reference transaction is refused.
func refusedCode(t *testing.T, at int, state verdict) codes.Code {
	t.Helper()

	switch {
	case at == 3 && state == abort, at == 6 && state == abort:
		return codes.Aborted
	case at == 3 && state == stop:
		return codes.FailedPrecondition
	default:
		return codes.OK
	}
}

// Every vote of a push can be refused. Nothing may be changed unless the references were written,
// and nothing may stay locked.
func TestRefusedPushes(t *testing.T) {
	t.Parallel()

	for _, state := range []verdict{abort, stop} {
		// pre-receive, update, prepared | committed, post-receive, final
		for at := 1; at <= 6; at++ {
			t.Run(state.String()+" "+string(rune('0'+at)), func(t *testing.T) {
				t.Parallel()

				r := start(t)
				repo := r.create(t, "a.git")
				clone, first := newClone(t)
				r.votes.verdictAt(at, state)
				_, err := r.post(voting(t.Context(), true), repo,
					pushBody(t, clone, "", command{zero, first, "refs/heads/main"}))
				require.Equal(t, refusedCode(t, at, state), status.Code(err), "%v", err)

				if at <= 3 {
					require.NotContains(t, r.references(t, repo), first)
				} else {
					require.Contains(t, r.references(t, repo), first)
				}
				r.requireNoLocks(t)

				// The same reference can be written at once.
				r.votes.verdictAt(0, commit)
				second := newCommit(t, clone, "second")
				from := zero
				if at > 3 {
					from = first
				}
				output, err := r.post(voting(t.Context(), true), repo,
					pushBody(t, clone, "", command{from, second, "refs/heads/main"}))
				require.NoError(t, err)
				require.Contains(t, output, "ok refs/heads/main")
			})
		}
	}
}
