package githttp

import (
	"fmt"
	"net/http"
	"time"
)

// answer is the response to a request. As long as nothing was written, it can still become an
// error with a text.
type answer struct {
	writer  http.ResponseWriter
	control *http.ResponseController
	idle    time.Duration
	kind    string
	started bool
	bytes   int64
}

// Write sends bytes of a service at once: progress is of no use when it comes late.
func (a *answer) Write(p []byte) (int, error) {
	a.start()
	_ = a.control.SetWriteDeadline(time.Now().Add(a.idle)) // only another server knows none
	n, err := a.writer.Write(p)
	a.bytes += int64(n)
	if err != nil {
		return n, fmt.Errorf("%w: %w", errGone, err)
	}
	if err := a.control.Flush(); err != nil {
		return n, fmt.Errorf("%w: %w", errGone, err)
	}
	return n, nil
}

// start sends the header of a response without error.
func (a *answer) start() {
	if a.started {
		return
	}
	a.started = true
	header := a.writer.Header()
	header.Set("Content-Type", a.kind)
	header.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	a.writer.WriteHeader(http.StatusOK)
}

// refuse sends an error. Git shows the text of such a page to the user.
func (a *answer) refuse(code int, text string) {
	header := a.writer.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-cache")
	switch code {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Basic realm="Git", charset="UTF-8"`)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	a.started = true
	_ = a.control.SetWriteDeadline(time.Now().Add(a.idle)) // as in Write
	a.writer.WriteHeader(code)
	// Whether the client reads why is up to the client.
	n, _ := a.writer.Write([]byte(text + "\n"))
	a.bytes += int64(n)
}
