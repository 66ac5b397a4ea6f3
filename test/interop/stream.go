package main

import (
	"errors"
	"io"
)

// all reads a stream to its end.
func all[M any](stream interface{ Recv() (*M, error) }) ([]*M, error) {
	var messages []*M
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
		messages = append(messages, message)
	}
}

// pieceSize is how much of a request is sent at once.
const pieceSize = 64 << 10

// send sends content in pieces, the first of which may be empty, and closes the stream. That the
// other side has ended is told by what it answers.
func send(content []byte, message func(piece []byte) error, end func() error) error {
	for first := true; first || len(content) > 0; first = false {
		n := min(pieceSize, len(content))
		if err := message(content[:n]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}

			return err
		}
		content = content[n:]
	}
	if end == nil {
		return nil
	}

	return end()
}
