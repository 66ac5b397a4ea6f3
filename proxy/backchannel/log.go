package backchannel

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// yamuxLog gives what the multiplexing library prints to our log. Everything
// it says is a detail of a connection whose end is seen elsewhere as well, so
// the level is debug whatever the library thinks of it.
type yamuxLog struct {
	log *zap.Logger
}

// Print implements yamux.Logger.
func (l yamuxLog) Print(values ...any) {
	if l.enabled() {
		l.write(fmt.Sprint(values...))
	}
}

// Printf implements yamux.Logger.
func (l yamuxLog) Printf(format string, values ...any) {
	if l.enabled() {
		l.write(fmt.Sprintf(format, values...))
	}
}

// Println implements yamux.Logger.
func (l yamuxLog) Println(values ...any) {
	if l.enabled() {
		l.write(fmt.Sprintln(values...))
	}
}

func (l yamuxLog) enabled() bool {
	return l.log.Core().Enabled(zapcore.DebugLevel)
}

func (l yamuxLog) write(line string) {
	l.log.Debug("yamux event", zap.String("detail", strings.TrimSpace(line)))
}
