package world

import (
	"fmt"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// note takes an effect into the hash, and into the trace.
func (w *world) note(who, what string, err error) {
	now := time.Since(w.begun)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.judged {
		return
	}
	w.result.Steps++
	state := hash(hash(w.result.Hash, who), what)
	if err != nil {
		state++
	}
	w.result.Hash = mix(state ^ uint64(now))
	if !w.verbose {
		return
	}
	fmt.Fprintf(&w.trace, "%14s %-9s %s", now, who, what)
	if err != nil {
		fmt.Fprintf(&w.trace, ": %v", err)
	}
	w.trace.WriteByte('\n')
}

// fault notes something that must not happen.
func (w *world) fault(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Stuck = append(w.result.Stuck, what)
}

// count counts a call as a step.
func (w *world) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Steps++
}

// tracer is a logger into the trace.
func (w *world) tracer() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		MessageKey: "message", LineEnding: "\n",
	})
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(lines{w}), zapcore.InfoLevel))
}

// lines takes lines of a log.
type lines struct{ world *world }

// Write implements io.Writer.
func (l lines) Write(line []byte) (int, error) {
	now := time.Since(l.world.begun)
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	fmt.Fprintf(&l.world.trace, "%14s log       %s", now, line)
	return len(line), nil
}
