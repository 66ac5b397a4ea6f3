package relay

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
)

// Intake receives requests that no node may see before they are here whole. Safe for concurrent
// use.
type Intake struct {
	// Each bounds one request, All those that are here at the same time, in bytes.
	Each, All int

	here atomic.Int64
}

// Receive receives all that a client sends after its first message. The caller owns the frames, and
// has to call done, once, when it does not keep them any more. Errors: a status of the connection,
// or one that matches [ErrRequestTooLarge] or [ErrCrowded]; done is nil then.
func (i *Intake) Receive(client grpc.ServerStream) (rest []Frame, done func(), err error) {
	size := 0
	done = func() { i.here.Add(-int64(size)) }
	for {
		var frame Frame
		err := client.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return rest, done, nil
		}
		size += frame.Len()
		all := i.here.Add(int64(frame.Len()))
		rest = append(rest, frame)
		switch {
		case err != nil:
		case size > i.Each:
			err = fmt.Errorf("%w: it is longer than %d bytes", ErrRequestTooLarge, i.Each)
		case all > int64(i.All):
			err = fmt.Errorf("%w: they are longer than %d bytes together", ErrCrowded, i.All)
		}
		if err != nil {
			done()
			freeAll(rest)
			return nil, nil, err
		}
	}
}

// Free gives back the messages of a call that is not carried.
func (c Call) Free() { freeAll(c.Rest) }

// FreeAll gives back the first messages for destinations that are not carried to.
func FreeAll(to []Destination) {
	for i := range to {
		to[i].First.Free()
	}
}

func freeAll(frames []Frame) {
	for i := range frames {
		frames[i].Free()
	}
}
