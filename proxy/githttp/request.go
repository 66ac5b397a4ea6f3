package githttp

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"sync"
	"time"
)

// drainTime is how long the rest of a request is swallowed that nobody wants: a connection which is
// closed with unread data loses the end of the answer. A client needs a round trip to see that it
// need not go on.
const drainTime = time.Second

// incoming is the body of a request. It ends early when the client is silent for too long, or
// when nobody wants it any more. Read is for one goroutine, stop for any.
type incoming struct {
	body    io.ReadCloser
	control *http.ResponseController
	idle    time.Duration

	mu      sync.Mutex // guards the fields below and the deadline of reads
	stopped bool
	ended   bool // there is no more to read
}

// Read reads the body as the client sent it. An error other than io.EOF matches errClient, or is
// errStopped.
func (i *incoming) Read(p []byte) (int, error) {
	deadline := time.Now().Add(i.idle)
	if !i.extend(deadline) {
		return 0, errStopped
	}
	n, err := i.body.Read(p)
	if err == nil {
		return n, nil
	}
	// The server watches the connection from here on; the client may be silent now for as long
	// as the service takes.
	stopped := !i.extend(time.Time{})
	if stopped && errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline) {
		return n, errStopped
	}
	i.mu.Lock()
	i.ended = true
	i.mu.Unlock()
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, fmt.Errorf("%w: %w", errClient, err)
}

// extend moves the deadline of reads unless the body is stopped.
func (i *incoming) extend(deadline time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return false
	}
	_ = i.control.SetReadDeadline(deadline) // only another server knows none
	return true
}

// stop makes a Read that waits return, and all later ones.
func (i *incoming) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return
	}
	i.stopped = true
	if i.control.SetReadDeadline(time.Unix(1, 0)) != nil {
		_ = i.body.Close() // it is not wanted any more
	}
}

// drain swallows the rest of the body for a while, after the answer was sent. Nobody else may read
// any more.
func (i *incoming) drain() {
	i.mu.Lock()
	ended := i.ended
	i.mu.Unlock()
	if ended {
		return
	}
	_ = i.control.SetReadDeadline(time.Now().Add(drainTime)) // as in extend
	_, _ = io.Copy(io.Discard, i.body)                       // the connection is closed anyway
}

// decode returns the content of the body: the request of Git.
func decode(r *http.Request, body io.Reader, service string) (io.Reader, error) {
	want := "application/x-" + service + "-request"
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != want {
		return nil, wrongType(want)
	}
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		content, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errClient, err)
		}
		return &inflated{content}, nil
	default:
		return nil, wrongEncoding()
	}
}

// inflated marks what is wrong with compressed content as the fault of the client.
type inflated struct {
	content io.Reader
}

// Read reads the content.
func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.content.Read(p)
	if err == nil || errors.Is(err, errClient) || errors.Is(err, errStopped) {
		return n, err //nolint:wrapcheck // it is an error of this package
	}
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, fmt.Errorf("%w: %w", errClient, err)
}
