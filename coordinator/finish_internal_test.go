package coordinator

import (
	"context"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/transaction"
)

// decideCase is one row of the table of outcomes. The primary is a.
type decideCase struct {
	votes     votes
	refused   error
	failed    bool
	ok        string
	creation  bool
	never     bool
	locks     bool
	verify    bool
	several   bool
	silent    bool
	unseen    bool
	want      Outcome
	wantRaise string
	// wantVerify is about what the record does not ask for by itself.
	wantVerify bool
	// wantDoubt says that none of the replicas is known to be right.
	wantDoubt bool
	// wantLeave says that recovery decides by evidence.
	wantLeave bool
	err       error
}

type votes = transaction.Summary

// severalCases are of calls that may consist of several writes.
func severalCases() map[string]decideCase {
	return map[string]decideCase{
		"one of several recorded, then the primary failed": {
			votes:  votes{Prepared: true, Recorded: 1},
			failed: true, several: true, want: OutcomePartial,
		},
		"all of several recorded, then the primary failed": {
			votes:  votes{Prepared: true, Recorded: 2, Through: true},
			failed: true, several: true, want: OutcomeRecorded,
		},
		"several, and the client is told which": {
			votes: votes{Prepared: true, Recorded: 1}, ok: "abc", several: true,
			want: OutcomeRecorded,
		},
	}
}

// votedCases are decided by the votes.
func votedCases() map[string]decideCase {
	return map[string]decideCase{
		"recorded": {
			votes: votes{Prepared: true, Recorded: 1}, ok: "abc", want: OutcomeRecorded,
		},
		"recorded, then the call failed": {
			votes: votes{Prepared: true, Recorded: 1}, failed: true, want: OutcomeRecorded,
		},
		"one of two recorded, then the call failed": {
			votes:  votes{Prepared: true, Recorded: 1, LostRounds: 1},
			failed: true, want: OutcomePartial,
		},
		"one of two recorded, then the turn did not come": {
			votes:  votes{Prepared: true, Recorded: 1, Busy: true},
			failed: true, want: OutcomePartial,
		},
		"one of two recorded, and the client is told which": {
			votes: votes{Prepared: true, Recorded: 1, LostRounds: 1}, ok: "abc",
			want: OutcomeRecorded,
		},
		"record failed": {
			votes: votes{Prepared: true, Failed: true}, ok: "abc",
			want: OutcomeUnknown, err: ErrOutcomeUnknown,
		},
		"record failed after another": {
			votes: votes{Prepared: true, Recorded: 1, Failed: true}, ok: "abc",
			want: OutcomeUnknown, err: ErrOutcomeUnknown,
		},
		"no outcome": {
			votes: votes{Prepared: true, Unfinished: true}, ok: "abc",
			want: OutcomeUnknown, err: ErrOutcomeUnknown,
		},
		"nobody knows": {
			votes:  votes{Prepared: true, Doubtful: 1},
			failed: true, want: OutcomeUnknown, err: ErrOutcomeUnknown,
		},
		"too few copies": {
			votes: votes{Prepared: true, Recorded: 1, BelowMinimum: true}, ok: "abc",
			want: OutcomeUnknown, err: ErrOutcomeUnknown,
		},
		"lost": {
			votes: votes{Prepared: true, LostRounds: 1}, failed: true, want: OutcomeNone,
		},
		"lost with a minority primary": {
			votes:  votes{Prepared: true, LostRounds: 1, Verify: true},
			failed: true, want: OutcomeNone, wantVerify: true,
		},
		"abandoned": {
			votes: votes{Prepared: true, Dropped: 1}, ok: "abc", want: OutcomeNone,
		},
		"abandoned, or not heard": {
			votes: votes{Prepared: true, Dropped: 1}, failed: true, want: OutcomeUnknown,
		},
	}
}

// busyCases waited in vain.
func busyCases() map[string]decideCase {
	return map[string]decideCase{
		"busy": {
			votes: votes{Prepared: true, Busy: true}, failed: true,
			want: OutcomeNone, err: ErrBusy,
		},
		"removed meanwhile": {
			votes: votes{Busy: true}, refused: ErrRepositoryNotFound, failed: true,
			want: OutcomeNone, err: ErrRepositoryNotFound,
		},
		"another primary meanwhile": {
			votes: votes{Busy: true}, refused: ErrPrimaryChanged, ok: "abc",
			want: OutcomeNone, err: ErrPrimaryChanged,
		},
		"refused for another reason": {
			votes: votes{Busy: true}, refused: context.Canceled, failed: true,
			want: OutcomeNone, err: ErrBusy,
		},
		"busy before anybody prepared": {
			votes: votes{Busy: true}, ok: "abc", want: OutcomeNone, err: ErrBusy,
		},
	}
}

// unvotedCases are decided by how the calls ended.
func unvotedCases() map[string]decideCase {
	return map[string]decideCase{
		"refused by a hook": {votes: votes{Stopped: true}, ok: "abc", want: OutcomeNone},
		"client left":       {votes: votes{Aborted: true}, failed: true, want: OutcomeNone},
		"client left after a deletion": {
			votes: votes{Aborted: true}, ok: "ab", wantRaise: "ab", wantVerify: true,
		},
		"failed, no votes": {failed: true, want: OutcomeNone},
		"failed, others are at it without votes": {
			failed: true, locks: true, unseen: true, want: OutcomeUnknown, wantLeave: true,
		},
		"failed, others are about to vote": {failed: true, unseen: true, want: OutcomeNone},
		"never writes":                     {ok: "abc", never: true, want: OutcomeNone},
		"deletion without votes": {
			ok: "abc", wantRaise: "abc", wantVerify: true,
		},
		"deletion that one secondary failed": {
			ok: "ab", wantRaise: "ab", wantVerify: true,
		},
		"deletion that the primary failed": {
			failed: true, ok: "bc", locks: true, wantRaise: "bc", wantVerify: true,
		},
		"something that the primary failed": {
			failed: true, ok: "bc", want: OutcomeUnknown, wantVerify: true, wantDoubt: true,
		},
		"creation that the primary failed": {
			failed: true, ok: "bc", locks: true, creation: true, want: OutcomeNone,
		},
		"creation without votes": {
			ok: "ab", creation: true, wantRaise: "ab", wantVerify: true,
		},
	}
}

// besideCases are of calls that may do something beside what they vote on.
func besideCases() map[string]decideCase {
	return map[string]decideCase{
		"fetch": {
			votes: votes{Prepared: true, Recorded: 1}, ok: "abc", verify: true,
			want: OutcomeRecorded, wantVerify: true,
		},
		"fetch that was recorded, then the primary failed": {
			votes: votes{Prepared: true, Recorded: 1}, failed: true, verify: true,
			want: OutcomeRecorded, wantVerify: true, wantDoubt: true,
		},
		"fetch that only prunes": {
			ok: "ab", verify: true, wantRaise: "ab", wantVerify: true,
		},
		"fetch that prunes, and git gives up the rest": {
			votes: votes{Prepared: true, Dropped: 1}, ok: "abc", verify: true,
			wantRaise: "abc", wantVerify: true,
		},
		"fetch that fails everywhere": {
			failed: true, verify: true,
			want: OutcomeUnknown, wantVerify: true, wantDoubt: true,
		},
		"fetch that the primary failed": {
			failed: true, ok: "bc", verify: true,
			want: OutcomeUnknown, wantVerify: true, wantDoubt: true,
		},
		"fetch whose round was lost": {
			votes: votes{Prepared: true, LostRounds: 1}, failed: true, verify: true,
			want: OutcomeUnknown, wantVerify: true, wantDoubt: true,
		},
		"fetch whose turn did not come": {
			votes: votes{Prepared: true, Busy: true}, failed: true, verify: true,
			want: OutcomeUnknown, err: ErrBusy, wantVerify: true, wantDoubt: true,
		},
		"unknown method that fails everywhere": {
			failed: true, locks: true, verify: true,
			want: OutcomeUnknown, wantVerify: true, wantDoubt: true,
		},
		"unknown method that others are at": {
			failed: true, locks: true, verify: true, unseen: true,
			want: OutcomeUnknown, wantLeave: true, wantDoubt: true,
		},
	}
}

// silentCases are of pushes that may have deleted a reference without a vote, between others.
func silentCases() map[string]decideCase {
	return map[string]decideCase{
		"deletion, then a hook refused": {
			votes: votes{Stopped: true}, ok: "abc", silent: true,
			wantRaise: "abc", wantVerify: true,
		},
		"deletion, then a round was lost": {
			votes: votes{Prepared: true, LostRounds: 1}, ok: "ab", silent: true,
			wantRaise: "ab", wantVerify: true,
		},
		"deletion, then a record": {
			votes: votes{Prepared: true, Recorded: 1, Through: true}, ok: "ac", silent: true,
			several: true, wantRaise: "ac", wantVerify: true,
		},
		"deletion, then the turn did not come": {
			votes: votes{Prepared: true, Busy: true}, failed: true, silent: true,
			want: OutcomeUnknown, err: ErrBusy, wantVerify: true, wantDoubt: true,
		},
		"deletion, then the primary failed": {
			votes: votes{Prepared: true, LostRounds: 1}, failed: true, silent: true,
			want: OutcomeUnknown, wantVerify: true, wantDoubt: true,
		},
		"deletion, then a record, then the primary failed": {
			votes: votes{Prepared: true, Recorded: 1}, failed: true, silent: true, several: true,
			want: OutcomePartial, wantVerify: true, wantDoubt: true,
		},
	}
}

// TestDecide is the table of outcomes: what becomes of a write by what its nodes voted and said.
func TestDecide(t *testing.T) {
	t.Parallel()
	cases := votedCases()
	maps.Copy(cases, severalCases())
	maps.Copy(cases, busyCases())
	maps.Copy(cases, unvotedCases())
	maps.Copy(cases, besideCases())
	maps.Copy(cases, silentCases())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decide(facts{
				votes: tc.votes, refused: tc.refused, primaryOK: !tc.failed,
				ok: letters(tc.ok), primary: letters("a"),
				creation: tc.creation, neverWrites: tc.never, locksFirst: tc.locks,
				alwaysVerify: tc.verify, several: tc.several, unseen: tc.unseen,
				silent: tc.silent,
			})
			require.ErrorIs(t, got.err, tc.err)
			require.Equal(t, letters(tc.wantRaise), got.raise)
			require.Equal(t, tc.want, got.outcome)
			require.Equal(t, tc.wantVerify, got.verify)
			require.Equal(t, tc.wantDoubt, got.doubt)
			require.Equal(t, tc.wantLeave, got.leave)
		})
	}
}

func TestOutcomeString(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[Outcome]string{
		OutcomeNone: "none", OutcomeRecorded: "recorded", OutcomePartial: "partial",
		OutcomeUnknown: "unknown",
	} {
		require.Equal(t, want, outcome.String())
	}
}
