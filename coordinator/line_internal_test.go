package coordinator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// taken is what became of a wait for the turn.
type taken struct {
	turn *ticket
	err  error
}

// queue waits for the turn in the background, behind whoever waits already.
func queue(ctx context.Context, l *lines, in *line) <-chan taken {
	result := make(chan taken, 1)
	go func() {
		turn, err := l.take(ctx, in)
		result <- taken{turn, err}
	}()
	synctest.Wait()
	return result
}

func TestLineFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLines(10)
		in := l.use(1)
		defer l.drop(in)
		turn, err := l.take(t.Context(), in)
		require.NoError(t, err)
		require.False(t, l.contended(in))

		var waiting []<-chan taken
		for range 3 {
			waiting = append(waiting, queue(t.Context(), l, in))
		}
		require.True(t, l.contended(in))
		for i, next := range waiting {
			for _, later := range waiting[i:] {
				require.Empty(t, later)
			}
			l.release(in, turn)
			result := <-next
			require.NoError(t, result.err)
			turn = result.turn
		}
		l.release(in, turn)
		l.release(in, turn)
		turn, err = l.take(t.Context(), in)
		require.NoError(t, err, "nothing is left behind")
		l.release(in, turn)
	})
}

func TestLineOtherRepositories(t *testing.T) {
	t.Parallel()
	l := newLines(10)
	one, two := l.use(1), l.use(2)
	_, err := l.take(t.Context(), one)
	require.NoError(t, err)
	_, err = l.take(t.Context(), two)
	require.NoError(t, err)
	l.drop(one)
	l.drop(two)
	require.Empty(t, l.byID)
}

func TestLineBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLines(1)
		in := l.use(1)
		turn, err := l.take(t.Context(), in)
		require.NoError(t, err)

		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := queue(bounded, l, in)
		_, err = l.take(t.Context(), in)
		require.ErrorIs(t, err, ErrBusy, "the line is full")
		require.ErrorIs(t, (<-late).err, ErrBusy, "the time is over")
		require.False(t, l.contended(in))

		gone := errors.New("client is gone")
		leaving, leave := context.WithCancelCause(t.Context())
		left := queue(leaving, l, in)
		leave(gone)
		require.ErrorIs(t, (<-left).err, gone)
		require.NotErrorIs(t, (<-queue(leaving, l, in)).err, ErrBusy)

		next := queue(t.Context(), l, in)
		l.release(in, turn)
		require.NoError(t, (<-next).err, "those who left took nothing with them")
	})
}

// TestLineGrantedTooLate gives the turn to somebody in the moment in which they leave.
func TestLineGrantedTooLate(t *testing.T) {
	t.Parallel()
	for range 100 {
		l := newLines(10)
		in := l.use(1)
		turn, err := l.take(t.Context(), in)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		second := make(chan taken, 1)
		go func() {
			turn, err := l.take(ctx, in)
			second <- taken{turn, err}
		}()
		go cancel()
		l.release(in, turn)
		if result := <-second; result.err == nil {
			l.release(in, result.turn)
		}
		_, err = l.take(t.Context(), in)
		require.NoError(t, err, "the turn is never lost")
	}
}

func TestLineWindows(t *testing.T) {
	t.Parallel()
	l := newLines(10)
	in := l.use(1)
	require.False(t, l.committing(1))
	l.openWindow(in)
	l.openWindow(in)
	require.True(t, l.committing(1))
	require.False(t, l.committing(2))
	l.closeWindow(in)
	require.True(t, l.committing(1))
	l.closeWindow(in)
	require.False(t, l.committing(1))
}

func TestLineAwaitsWritesWithout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLines(10)
		in := l.use(1)
		routing, without, with := &Write{}, &Write{}, &Write{}
		l.send(in, routing, 0)
		l.send(in, without, letters("ab"))
		l.send(in, with, letters("abc"))

		done := make(chan error, 1)
		go func() { done <- l.awaitWithout(t.Context(), in, letters("c")) }()
		for _, step := range []func(){
			func() { l.end(in, with) },
			func() { l.send(in, routing, letters("abc")) },
		} {
			step()
			synctest.Wait()
			require.Empty(t, done)
		}
		l.end(in, without)
		require.NoError(t, <-done, "the one that is left is sent there")

		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.awaitWithout(bounded, in, letters("d")), context.DeadlineExceeded)
		l.idle(bounded, in)
		l.end(in, routing)
		l.idle(t.Context(), in)
	})
}

func TestLineHoldsNewWritesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLines(10)
		in := l.use(1)
		l.admit(t.Context(), in)
		require.True(t, l.stop(in))
		require.False(t, l.stop(in), "only one can hold")

		begin := time.Now()
		l.admit(t.Context(), in)
		require.Equal(t, holdMax, time.Since(begin), "not for long")

		admitted := make(chan struct{})
		go func() {
			l.admit(t.Context(), in)
			close(admitted)
		}()
		synctest.Wait()
		l.start(in)
		<-admitted
		require.Equal(t, holdMax, time.Since(begin))
	})
}
