package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/transaction/failpoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMatrixHasEveryPoint looks for a point that nobody is killed at.
func TestMatrixHasEveryPoint(t *testing.T) {
	t.Parallel()

	tried, names := map[string]bool{}, map[string]bool{}
	for _, one := range matrix() {
		require.False(t, names[one.String()], "%s is there twice", one)
		names[one.String()] = true
		tried[string(one.point)+"/"+string(one.victim)] = true
	}
	for _, point := range failpoint.Points() {
		for _, who := range []victim{
			victimProxy, victimPrimary, victimSecondary, victimDatabase,
		} {
			require.True(t, tried[string(point)+"/"+string(who)], "%s at %s", who, point)
		}
	}
}

// arrive is what a process does at a point. The returned function waits until it may go on.
func arrive(t *testing.T, socket string, point failpoint.Point, process int) (goOn func() error) {
	t.Helper()

	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	_, err = fmt.Fprintf(conn, "%s %d\n", point, process)
	require.NoError(t, err)

	return func() error {
		_, err := bufio.NewReader(conn).ReadByte()

		return err
	}
}

func TestStopsKeepTheRightOneWaiting(t *testing.T) {
	t.Parallel()

	socket := filepath.Join(t.TempDir(), "stops")
	s, err := listen(t.Context(), socket)
	require.NoError(t, err)
	armed := s.arm(failpoint.Recorded, 7, 1)

	// Another point, another process: both go on.
	require.Error(t, arrive(t, socket, failpoint.Routed, 7)())
	require.Error(t, arrive(t, socket, failpoint.Recorded, 8)())

	require.Error(t, arrive(t, socket, failpoint.Recorded, 7)()) // as the first is to be skipped
	goOn := arrive(t, socket, failpoint.Recorded, 7)
	require.Equal(t, 7, <-armed.reached)
	// Only the first arrival counts.
	require.Error(t, arrive(t, socket, failpoint.Recorded, 7)())
	armed.release()
	require.Error(t, goOn())
	require.NoError(t, s.close())
}

// TestJudgePush tries the judgement on what must not be.
func TestJudgePush(t *testing.T) {
	t.Parallel()

	goods := &material{base: "base", change: "change", spare: "spare"}
	before := map[string]string{refMain: "base", refOther: "base"}
	after := map[string]string{refMain: "change", refOther: "change", refFresh: "change"}
	half := map[string]string{refMain: "change", refOther: "base"}
	acknowledged := answer{outcome: "recorded"}
	refused := answer{err: errors.New("no"), outcome: outcomeNone}
	unknown := answer{err: errors.New("no")}

	for name, tc := range map[string]struct {
		told   answer
		found  map[string]string
		tried  string
		done   bool
		serial bool
		want   string
	}{
		"acknowledged and there":      {told: acknowledged, found: after},
		"acknowledged and not there":  {told: acknowledged, found: before, want: "lost"},
		"acknowledged in part":        {told: acknowledged, found: half, want: "lost"},
		"refused and not there":       {told: refused, found: before},
		"refused and there":           {told: refused, found: after, want: "surely failed"},
		"unknown and there":           {told: unknown, found: after},
		"unknown and not there":       {told: unknown, found: before},
		"unknown in part":             {told: unknown, found: half, want: "torn"},
		"unknown in part, one by one": {told: unknown, found: half, serial: true},
		"something else": {
			told: unknown, found: map[string]string{refMain: "spare", refOther: "base"},
			want: `refs/heads/main is "spare"`,
		},
		"overwritten by an attempt": {
			told: unknown, found: map[string]string{refMain: "spare", refOther: "base"},
			tried: "spare",
		},
		"the last write is lost": {
			told: unknown, found: before, tried: "spare", done: true, want: "lost",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			judged := &take{goods: goods, answer: tc.told, tried: tc.tried, rewritten: tc.done}
			err := judgePush(!tc.serial)(judged, state{refs: tc.found})
			if tc.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.want)
			}
		})
	}
}

// TestJudgeCreation tries the judgement on repositories that are there.
func TestJudgeCreation(t *testing.T) {
	t.Parallel()

	refused := answer{err: errors.New("no"), outcome: outcomeNone}
	taken := answer{err: status.Error(codes.AlreadyExists, "taken"), outcome: outcomeNone}
	for name, tc := range map[string]struct {
		told  answer
		tried string
		want  string
	}{
		"created":               {told: answer{outcome: "recorded"}},
		"unknown":               {told: answer{err: errors.New("no")}},
		"refused":               {told: refused, want: "surely failed"},
		"refused, then another": {told: refused, tried: zeroID},
		"somebody else's":       {told: taken},
		"not answered yet":      {told: answer{err: errPending}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := judgeCreation(&take{answer: tc.told, tried: tc.tried}, state{})
			if tc.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	r := &report{out: &out}
	one := matrix()[0]
	r.add(row{trial: one, answer: "OK,recorded"})
	require.NoError(t, r.close())
	require.Contains(t, out.String(), "crashmatrix: cases=1 failed=0\n")

	r.add(row{trial: one, err: errors.New("diverged"), logs: "/logs"})
	require.ErrorIs(t, r.close(), errFailed)
	require.Contains(t, out.String(), "FAILED routed/proxy/push")
	require.Contains(t, out.String(), "diverged\n       logs: /logs\n")
	require.Contains(t, out.String(), "crashmatrix: cases=2 failed=1\n")
}
