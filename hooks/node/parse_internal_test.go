package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"praefect/hooks"
	"praefect/hooks/node/disk"
	"praefect/proxy/gitalypb"
)

// FuzzNegotiation asserts that what is counted does not depend on how the bytes are cut.
func FuzzNegotiation(f *testing.F) {
	f.Add([]byte("0032want 1111111111111111111111111111111111111111\n0000000fdeepen 100\n"), 3)
	f.Add([]byte("zzzz"), 1)
	f.Add([]byte("0001000200030004"), 2)

	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		whole, parts := &negotiation{}, &negotiation{}
		_, err := whole.Write(data)
		require.NoError(t, err)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), max(1, cut%7))
			written, err := parts.Write(rest[:n])
			require.NoError(t, err)
			require.Equal(t, n, written)
			rest = rest[n:]
		}
		require.Empty(t, cmp.Diff(whole.statistics(), parts.statistics(), protocmp.Transform()))
		require.Equal(t, int64(len(data)), whole.statistics().GetPayloadSize())
	})
}

func TestNegotiation(t *testing.T) {
	t.Parallel()

	n := &negotiation{}
	for _, line := range []string{
		"want 1 a b", "want 2", "shallow 3", "deepen-since 4", "filter blob:none", "have 5", "done",
	} {
		_, err := io.WriteString(n, pktLine(line+"\n"))
		require.NoError(t, err)
	}
	require.Empty(t, cmp.Diff(&gitalypb.PackfileNegotiationStatistics{
		PayloadSize: 100, Packets: 7, Caps: []string{"a", "b"}, Wants: 2, Haves: 1, Shallows: 1,
		Deepen: "since 4", Filter: "blob:none",
	}, n.statistics(), protocmp.Transform()))
}

// FuzzSplitBands asserts that what a side band carries arrives, and that anything else is an error
// or an end, and never more than the input.
func FuzzSplitBands(f *testing.F) {
	f.Add([]byte("0006\x01a0006\x02b"))
	f.Add([]byte("0004"))

	f.Fuzz(func(t *testing.T, data []byte) {
		var output bytes.Buffer
		_ = splitBands(bytes.NewReader(data), &output)
		require.LessOrEqual(t, output.Len(), len(data))

		var packets, back bytes.Buffer
		bands := &sideband{sink: &packets}
		for _, band := range []byte{bandOutput, bandError} {
			_, err := bands.writer(band).Write(data)
			require.NoError(t, err)
		}
		require.NoError(t, splitBands(&packets, &back))
		require.True(t, bytes.Equal(data, back.Bytes()))
	})
}

func TestSideBandOfALargeOutput(t *testing.T) {
	t.Parallel()

	large := strings.Repeat("x", 3*bandMax+1)
	var packets, back bytes.Buffer
	_, err := io.WriteString((&sideband{sink: &packets}).writer(bandOutput), large)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(packets.String(), "fff0\x01x"))
	require.NoError(t, splitBands(&packets, &back))
	require.Equal(t, large, back.String())
	require.ErrorIs(t, splitBands(strings.NewReader("0003x"), io.Discard), errBand)
}

func FuzzParseCommit(f *testing.F) {
	f.Add([]byte("tree 1\nparent 2\nauthor A <a@b> 1 +0000\ncommitter B <b@c> 2 -0100\n\ntext\n"))
	f.Add([]byte("tree 1\ngpgsig -----BEGIN SSH SIGNATURE-----\n x\n\n"))

	f.Fuzz(func(t *testing.T, content []byte) {
		commit, err := parseCommit("id", content)
		if err != nil {
			require.ErrorIs(t, err, errMalformedCommit)

			return
		}
		require.NotEmpty(t, commit.GetTreeId())
		require.LessOrEqual(t, len(commit.GetBody()), len(content))
	})
}

func TestCheckSettings(t *testing.T) {
	t.Parallel()

	for setting, ok := range map[string]bool{
		"a.b=c": true, "http.https://x.y/.proxy=z": true, "a.b=": true, "a.b=c\nd": true,
		"a.b": false, "a=b": false, "": false, "-c=x": false, "a.b\n.c": false, "a.1b=c": false,
	} {
		require.Equal(t, ok, checkSettings([]string{setting}) == nil, setting)
	}
}

func TestStatusOf(t *testing.T) {
	t.Parallel()

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	alive, plain := t.Context(), errors.New("x")
	notFound := fail(codes.NotFound, plain)
	for name, tc := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a parameter of the function under test
		err  error
		code codes.Code
		text string
	}{
		"plain":          {alive, plain, codes.Internal, "x"},
		"with a code":    {alive, notFound, codes.NotFound, "x"},
		"cancelled":      {ended, plain, codes.Canceled, "x"},
		"outermost code": {ended, failf(codes.DataLoss, "y: %w", notFound), codes.DataLoss, "y: x"},
		"in text":        {alive, fmt.Errorf("do: %w", notFound), codes.NotFound, "do: x"},
		"aborted":        {alive, hooks.ErrAborted, codes.Aborted, abortedText},
		"locked":         {alive, disk.ErrLocked, codes.Aborted, abortedText},
		"unstable":       {alive, ErrUnstable, codes.Aborted, abortedText},
		"stopped": {
			alive, hooks.ErrStopped, codes.FailedPrecondition, hooks.ErrStopped.Error(),
		},
		"invalid path": {
			alive, disk.ErrInvalidPath, codes.InvalidArgument, disk.ErrInvalidPath.Error(),
		},
		"exists": {alive, disk.ErrExists, codes.AlreadyExists, disk.ErrExists.Error()},
	} {
		told := status.Convert(statusOf(tc.ctx, tc.err))
		require.Equal(t, tc.code, told.Code(), name)
		require.Equal(t, tc.text, told.Message(), name)
	}
	require.NoError(t, statusOf(t.Context(), nil))
}
