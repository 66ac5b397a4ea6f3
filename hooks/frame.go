package hooks

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// frameMax bounds a message between hook and node. The largest carries a token, a hash and an
// error text.
const frameMax = 64 << 10

// frameHeader is the length of a message, highest byte first, in front of it.
const frameHeader = 4

// writeFrame writes a message as its length and its JSON.
func writeFrame(w io.Writer, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(body) > frameMax {
		return fmt.Errorf("%w: %d bytes", ErrFrameTooLarge, len(body))
	}

	header := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	if _, err := w.Write(append(header, body...)); err != nil {
		return fmt.Errorf("write message: %w", err)
	}

	return nil
}

// readFrame reads a message of writeFrame.
func readFrame(r io.Reader, message any) error {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return fmt.Errorf("read message: %w", err)
	}

	length := binary.BigEndian.Uint32(header[:])
	if length > frameMax {
		return fmt.Errorf("%w: %d bytes", ErrFrameTooLarge, length)
	}

	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if err := json.Unmarshal(body, message); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}

	return nil
}
