package sidechannel

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// errTorn stands for a connection that fails.
var errTorn = errors.New("torn")

func TestFrameReader(t *testing.T) {
	t.Parallel()
	largest := strings.Repeat("x", payloadMax)
	for name, tc := range map[string]struct {
		input, payload string
		err            error
		message        string // of err, when its text is agreed
	}{
		"nothing but the end":  {input: "0000"},
		"frames":               {input: "0006hi0005!0000", payload: "hi!"},
		"upper case":           {input: "000Aabcdef0000", payload: "abcdef"},
		"empty frame":          {input: "00040005x0000", payload: "x"},
		"bytes behind the end": {input: "0005x00000005y", payload: "x"},
		"largest frame":        {input: "fff0" + largest + "0000", payload: largest},
		"too large":            {input: "fff1" + largest, err: ErrInvalidFrame},
		"delimiter": {
			input: "0005x0001", payload: "x",
			err: ErrInvalidFrame, message: "sidechannel: invalid header 1",
		},
		"response end": {
			input: "0002",
			err:   ErrInvalidFrame, message: "sidechannel: invalid header 2",
		},
		"three": {
			input: "0003",
			err:   ErrInvalidFrame, message: "sidechannel: invalid header 3",
		},
		"no number":             {input: "00zz", err: ErrInvalidFrame},
		"sign":                  {input: "+005x", err: ErrInvalidFrame},
		"prefix":                {input: "0x10", err: ErrInvalidFrame},
		"nothing":               {err: io.ErrUnexpectedEOF},
		"ends in a header":      {input: "0005x00", payload: "x", err: io.ErrUnexpectedEOF},
		"ends in a payload":     {input: "0009abc", payload: "abc", err: io.ErrUnexpectedEOF},
		"ends without half-end": {input: "0005x", payload: "x", err: io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, source := range []io.Reader{
				strings.NewReader(tc.input),
				iotest.OneByteReader(strings.NewReader(tc.input)),
				iotest.DataErrReader(strings.NewReader(tc.input)),
			} {
				reader := &frameReader{source: source}
				payload, err := io.ReadAll(reader)
				require.ErrorIs(t, err, tc.err)
				if tc.message != "" {
					require.EqualError(t, err, tc.message)
				}
				require.Equal(t, tc.payload, string(payload))
				_, again := reader.Read(make([]byte, 1))
				if tc.err == nil {
					require.ErrorIs(t, again, io.EOF)
				} else {
					require.ErrorIs(t, again, tc.err)
				}
			}
		})
	}
}

func TestFrameReaderPassesErrorsOn(t *testing.T) {
	t.Parallel()
	reader := &frameReader{source: io.MultiReader(
		strings.NewReader("0006h"), iotest.ErrReader(errTorn))}
	payload, err := io.ReadAll(reader)
	require.ErrorIs(t, err, errTorn)
	require.Equal(t, "h", string(payload))
}

func TestFrameWriter(t *testing.T) {
	t.Parallel()
	two := strings.Repeat("y", payloadMax+1)
	for name, tc := range map[string]struct {
		writes []string
		want   string
	}{
		"nothing":     {want: "0000"},
		"empty write": {writes: []string{""}, want: "0000"},
		"two writes":  {writes: []string{"hello", "x"}, want: "0009hello0005x0000"},
		"largest": {
			writes: []string{two[:payloadMax]},
			want:   "fff0" + two[:payloadMax] + "0000",
		},
		"one more": {writes: []string{two}, want: "fff0" + two[:payloadMax] + "0005y0000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sink bytes.Buffer
			writer := &frameWriter{sink: &sink}
			for _, write := range tc.writes {
				n, err := writer.Write([]byte(write))
				require.NoError(t, err)
				require.Equal(t, len(write), n)
			}
			require.NoError(t, writer.close())
			require.NoError(t, writer.close())
			require.Equal(t, tc.want, sink.String())
			_, err := writer.Write([]byte("late"))
			require.ErrorIs(t, err, ErrWriteClosed)
		})
	}
}

func TestFrameWriterReportsHowMuchWasSent(t *testing.T) {
	t.Parallel()
	sink := &failing{after: 1}
	n, err := (&frameWriter{sink: sink}).Write(make([]byte, payloadMax+1))
	require.ErrorIs(t, err, errTorn)
	require.Equal(t, payloadMax, n)
	require.ErrorIs(t, (&frameWriter{sink: sink}).close(), errTorn)
}

// failing takes some writes and no more.
type failing struct {
	after int
}

// Write implements io.Writer.
func (f *failing) Write(p []byte) (int, error) {
	if f.after == 0 {
		return 0, errTorn
	}
	f.after--
	return len(p), nil
}

// FuzzScanner holds the scanner, which sees pieces, to what the reader makes
// of the whole.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		"0000", "0006hi0005!0000", "0005x0001", "fff1", "0009abc", "00zz", "00040004",
		"0005x0000tail",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, input []byte, piece uint8) {
		reader := &frameReader{source: bytes.NewReader(input)}
		payload, wantErr := io.ReadAll(reader)

		var frames scanner
		var passed []byte
		var gotErr error
		for rest := input; len(rest) > 0 && gotErr == nil && !frames.last; {
			n := min(int(piece)+1, len(rest))
			var data int
			data, gotErr = frames.scan(rest[:n])
			require.LessOrEqual(t, data, n)
			passed = append(passed, rest[:data]...)
			rest = rest[n:]
		}
		require.Equal(t, wantErr == nil, frames.last, "both see the end")
		require.Equal(t, errors.Is(wantErr, ErrInvalidFrame), gotErr != nil)
		// A piece of a header may have passed before it turned out invalid;
		// nothing behind it does.
		again, err := io.ReadAll(&frameReader{source: bytes.NewReader(passed)})
		require.Equal(t, payload, again)
		require.NotErrorIs(t, err, ErrInvalidFrame)
	})
}

// FuzzFrames writes pieces and reads them back.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("hello"), uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, piece uint16) {
		var wire bytes.Buffer
		writer := &frameWriter{sink: &wire}
		for rest := data; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			_, err := writer.Write(rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.NoError(t, writer.close())
		got, err := io.ReadAll(&frameReader{source: &wire})
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.Zero(t, wire.Len())
	})
}
