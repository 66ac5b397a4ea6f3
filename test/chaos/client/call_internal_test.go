package client

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/test/chaos/history"
)

// TestResult asserts what a client may conclude from an answer: too much, and a broken promise is
// blamed on the wrong side; too little, and it is not seen.
func TestResult(t *testing.T) {
	t.Parallel()

	o := history.Operation{Key: history.Key{Name: "refs/heads/a"}}
	failed := status.Error(codes.Internal, "failed")
	for name, tc := range map[string]struct {
		answer  answer
		outcome string
		result  history.Result
		verdict Verdict
	}{
		"well": {result: history.Acknowledged, verdict: Succeeded},
		"unknown": {
			answer: answer{err: failed}, outcome: "unknown",
			result: history.Unknown, verdict: Failed,
		},
		"partial": {
			answer: answer{err: failed}, outcome: "partial",
			result: history.Unknown, verdict: Failed,
		},
		"no word": {answer: answer{err: failed}, result: history.Unknown, verdict: Failed},
		"none": {
			answer: answer{err: failed}, outcome: "none",
			result: history.Refused, verdict: Failed,
		},
		"moved": {
			answer:  answer{err: status.Error(codes.FailedPrecondition, "moved")},
			outcome: "none", result: history.Refused, verdict: Declined,
		},
		"busy": {
			answer:  answer{err: status.Error(codes.Unavailable, "repository busy")},
			outcome: "none", result: history.Refused, verdict: Queued,
		},
		"taken": {
			answer: answer{declined: report{"refs/heads/a": ""}}, outcome: "recorded",
			result: history.Acknowledged, verdict: Succeeded,
		},
		"not taken": {
			answer: answer{declined: report{"refs/heads/a": "no"}}, outcome: "none",
			result: history.Refused, verdict: Declined,
		},
		"not taken, perhaps": {
			answer: answer{declined: report{"refs/heads/a": "hook"}}, outcome: "unknown",
			result: history.Unknown, verdict: Failed,
		},
		"not mentioned": {
			answer: answer{declined: report{}}, outcome: "none",
			result: history.Unknown, verdict: Succeeded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := tc.answer
			if tc.outcome != "" {
				got.trailer = metadata.Pairs(outcomeKey, tc.outcome)
			}
			require.Equal(t, tc.result, got.result(o))
			require.Equal(t, tc.verdict, got.verdict())
		})
	}
}

// TestBlame tells votes that were lost, and locks that were left behind, from references that have
// moved.
func TestBlame(t *testing.T) {
	t.Parallel()

	const cannot = "failed to update ref: error: cannot lock ref 'refs/heads/a': "
	for reason, verdict := range map[string]Verdict{
		cannot + "is at 12 but expected 34":                      Declined,
		cannot + "Unable to create '/a.lock': File exists.":      Failed,
		"create repository: preparatory vote: it was aborted":    Failed,
		"transaction hook declined: error voting on transaction": Failed,
	} {
		taken := answer{declined: report{"refs/heads/a": reason}}
		require.Equal(t, verdict, taken.verdict(), reason)
		told := answer{err: status.Error(codes.FailedPrecondition, reason)}
		require.Equal(t, verdict, told.verdict(), reason)
	}
}
