package relay

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
)

// ReceiveRest receives all that a client sends after its first message, at most so many bytes.
// The caller owns the frames. Errors: a status of the connection, or one that matches
// [ErrRequestTooLarge].
func ReceiveRest(client grpc.ServerStream, limit int) ([]Frame, error) {
	var rest []Frame
	size := 0
	for {
		var frame Frame
		err := client.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return rest, nil
		}
		size += frame.Len()
		rest = append(rest, frame)
		if err == nil && size > limit {
			err = fmt.Errorf("%w: it is longer than %d bytes", ErrRequestTooLarge, limit)
		}
		if err != nil {
			freeAll(rest)
			return nil, err
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
