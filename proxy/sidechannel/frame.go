package sidechannel

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	headerLen = 4     // hexadecimal digits
	frameMax  = 65520 // header included
	endOfData = "0000"

	payloadMax = frameMax - headerLen
)

// parseHeader returns the number of payload bytes that follow a header, or
// last for the one that ends the client's data.
func parseHeader(header []byte) (payload int, last bool, err error) {
	length, err := strconv.ParseUint(string(header), 16, 16)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("%w %q", ErrInvalidFrame, header)
	case length == 0:
		return 0, true, nil
	case length < headerLen:
		return 0, false, fmt.Errorf("%w %d", ErrInvalidFrame, length)
	case length > frameMax:
		return 0, false, fmt.Errorf(
			"%w: %d bytes are more than %d", ErrInvalidFrame, length, frameMax)
	}
	return int(length) - headerLen, false, nil
}

// frameReader returns the payload of frames.
type frameReader struct {
	source  io.Reader
	payload int   // bytes of the current frame that have not been read
	err     error // what every further read returns
}

// Read implements io.Reader. It returns io.EOF after the end of data, and
// io.ErrUnexpectedEOF when the source ends without it.
func (r *frameReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.payload == 0 && r.err == nil {
		r.err = r.next()
	}
	if r.payload == 0 {
		return 0, r.err
	}
	n, err := r.source.Read(p[:min(len(p), r.payload)])
	r.payload -= n
	if err != nil {
		r.err = unexpected(err)
		r.payload = 0
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

func (r *frameReader) next() error {
	var header [headerLen]byte
	if _, err := io.ReadFull(r.source, header[:]); err != nil {
		return unexpected(err)
	}
	payload, last, err := parseHeader(header[:])
	if last {
		return io.EOF
	}
	r.payload = payload
	return err
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read frame: %w", err)
}

// frameWriter writes every payload as frames, each with one write.
type frameWriter struct {
	sink   io.Writer
	frame  []byte // reused
	closed bool
}

// Write implements io.Writer. An empty payload sends nothing.
func (w *frameWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, ErrWriteClosed
	}
	written := 0
	for len(p) > 0 {
		n := min(len(p), payloadMax)
		w.frame = fmt.Appendf(w.frame[:0], "%04x", n+headerLen)
		w.frame = append(w.frame, p[:n]...)
		if _, err := w.sink.Write(w.frame); err != nil {
			return written, fmt.Errorf("write frame: %w", err)
		}
		written += n
		p = p[n:]
	}
	return written, nil
}

// close ends the data. It can be called repeatedly.
func (w *frameWriter) close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if _, err := io.WriteString(w.sink, endOfData); err != nil {
		return fmt.Errorf("write end of data: %w", err)
	}
	return nil
}

// scanner follows frames that pass by unchanged, in pieces of any size.
type scanner struct {
	header  [headerLen]byte
	have    int  // bytes of header that have passed
	payload int  // bytes of the current frame that have not passed
	last    bool // the end of data has passed
}

// scan looks at the next piece and returns how much of it belongs to the
// data: less than all of it behind the end, or before an error.
func (s *scanner) scan(p []byte) (int, error) {
	at := 0
	for at < len(p) && !s.last {
		if s.payload > 0 {
			n := min(s.payload, len(p)-at)
			s.payload -= n
			at += n
			continue
		}
		n := copy(s.header[s.have:], p[at:])
		s.have += n
		at += n
		if s.have < headerLen {
			break
		}
		s.have = 0
		var err error
		if s.payload, s.last, err = parseHeader(s.header[:]); err != nil {
			return at - n, err
		}
	}
	return at, nil
}
