package logging

import (
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	// pause is the least time between two writes of lines that can wait. It is too short for
	// somebody who watches, and long enough that a busy server writes hundreds of lines at once.
	pause = 20 * time.Millisecond
	// pieceMax bounds the lines that wait.
	pieceMax = 64 << 10
)

// paced writes lines at once when there are few of them, and many together when there are many. It
// may be used concurrently.
type paced struct {
	to io.Writer

	mu sync.Mutex // guards the fields below and the order of writes
	// waiting are whole lines. The timer runs exactly while there are any.
	waiting []byte
	timer   *time.Timer
	// last is when something was written.
	last time.Time
	// failed is the error of a write that nobody was told of yet.
	failed error
}

func newPaced(to io.Writer) *paced {
	return &paced{to: to, waiting: make([]byte, 0, pieceMax)}
}

// Write implements zapcore.WriteSyncer. The error may be that of earlier lines.
func (p *paced) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting)+len(line) > pieceMax {
		p.flush()
	}
	if len(p.waiting) == 0 && (len(line) > pieceMax || time.Since(p.last) >= pause) {
		p.write(line)
	} else {
		p.wait(line)
	}
	err := p.failed
	p.failed = nil

	return len(line), err
}

// Sync writes what waits, and does not wait for a disk.
func (p *paced) Sync() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
	err := p.failed
	p.failed = nil

	return err
}

// wait keeps a line.
func (p *paced) wait(line []byte) {
	if len(p.waiting) == 0 {
		p.timer = time.AfterFunc(pause, p.expire)
	}
	p.waiting = append(p.waiting, line...)
}

// expire writes what waits when the pause is over.
func (p *paced) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

func (p *paced) flush() {
	if len(p.waiting) == 0 {
		return
	}
	p.timer.Stop()
	p.write(p.waiting)
	p.waiting = p.waiting[:0]
}

func (p *paced) write(lines []byte) {
	p.last = time.Now()
	if _, err := p.to.Write(lines); err != nil {
		p.failed = fmt.Errorf("write log: %w", err)
	}
}

// prompt is a core whose warnings and errors, and with them all lines before, do not wait: they are
// what is looked for when the process does not live to write them later.
type prompt struct {
	zapcore.Core
}

// With implements zapcore.Core.
func (c prompt) With(fields []zapcore.Field) zapcore.Core { return prompt{c.Core.With(fields)} }

// Check implements zapcore.Core.
func (c prompt) Check(
	entry zapcore.Entry, checked *zapcore.CheckedEntry,
) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}

	return checked.AddCore(entry, c)
}

// Write implements zapcore.Core.
func (c prompt) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if err := c.Core.Write(entry, fields); err != nil {
		return err //nolint:wrapcheck // It says what it is.
	}
	if entry.Level < zapcore.WarnLevel {
		return nil
	}

	return c.Sync() //nolint:wrapcheck // It says what it is.
}
