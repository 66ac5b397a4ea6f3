package relay_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/relay"
)

func TestIntake(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limit   int
		tooLong bool
	}{
		"fits":     {limit: 9 * 3000},
		"too long": {limit: 9*3000 - 1, tooLong: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, relay.DefaultConfig())
			messages := payloads(10, 3000)
			r.onCall(func(stream grpc.ServerStream) error {
				if _, err := receive(stream); err != nil {
					return err
				}
				intake := relay.Intake{Each: tc.limit, All: 10 * 3000}
				rest, _, err := intake.Receive(stream)
				require.Equal(t, tc.tooLong, errors.Is(err, relay.ErrRequestTooLarge))
				var got [][]byte
				for i := range rest {
					got = append(got, rest[i].Data().Materialize())
					rest[i].Free()
				}
				if !tc.tooLong {
					requireSame(t, messages[1:], got)
				}
				return nil
			})
			stream := r.call(t.Context(), messages...)
			require.NoError(t, stream.CloseSend())
			_, err := receiveAll(stream)
			require.NoError(t, err)
			r.pool.requireEmpty(t)
		})
	}
}

// TestIntakeIsBounded has requests come while others are held.
func TestIntakeIsBounded(t *testing.T) {
	t.Parallel()
	const size = 3000
	r := newRig(t, relay.DefaultConfig())
	intake := relay.Intake{Each: 2 * size, All: 3 * size}
	ends := make(chan func(), 1)
	r.onCall(func(stream grpc.ServerStream) error {
		if _, err := receive(stream); err != nil {
			return err
		}
		rest, done, err := intake.Receive(stream)
		if err != nil {
			return err
		}
		relay.Call{Rest: rest}.Free()
		ends <- done
		return nil
	})
	call := func() error {
		stream := r.call(t.Context(), payloads(3, size)...)
		require.NoError(t, stream.CloseSend())
		_, err := receiveAll(stream)
		return err
	}
	require.NoError(t, call())
	done := <-ends
	require.ErrorContains(t, call(), relay.ErrCrowded.Error())
	require.ErrorContains(t, call(), relay.ErrCrowded.Error(), "what is refused is not counted")
	done()
	require.NoError(t, call())
	(<-ends)()
	r.pool.requireEmpty(t)
}
