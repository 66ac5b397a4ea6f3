// Package logging makes the server's logger: one line per entry, in the two formats that operators
// of Gitaly Cluster have their tools set up for. The keys time, level, msg and pid, the level
// "warning" and the formats are a contract; which entries there are is not.
package logging

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	formatText = "text"
	formatJSON = "json"

	timeText = "2006-01-02T15:04:05.000Z"
	// bareText is that of values that are in UTC already, see [New].
	bareText = "2006-01-02T15:04:05.000"
)

// Config says what is logged and how.
type Config struct {
	// Format is "text" or "json".
	Format string
	// Level is the lowest level that is written: trace, debug, info, warn, warning, error,
	// fatal or panic, in capitals or not.
	Level string
}

// Validate reports a format or level that does not exist.
func (c Config) Validate() error {
	var findings *multierror.Error
	if c.Format != formatText && c.Format != formatJSON {
		findings = multierror.Append(findings, fmt.Errorf("invalid logger format %q", c.Format))
	}
	if _, err := parseLevel(c.Level); err != nil {
		findings = multierror.Append(findings, err)
	}

	return findings.ErrorOrNil()
}

// New returns a logger that writes whole lines to w, which need not be safe for concurrent use.
// Warnings and errors are written at once, and so is everything at level debug, where somebody is
// looking for something; other lines at most 20 ms later when there are many. Sync writes what
// waits, and has to be called at the end.
//
// Times are written in UTC, with a Z at the end but for values whose location is [time.UTC]. That
// is how callers ask for the form without a zone, which some fields of calls have always had, at no
// cost. Errors are those of [Config.Validate].
func New(w io.Writer, config Config) (*zap.Logger, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("configuring logger: %w", err)
	}
	level, err := parseLevel(config.Level)
	if err != nil {
		return nil, err
	}

	encoder := newTextEncoder()
	if config.Format == formatJSON {
		encoder = zapcore.NewJSONEncoder(encoderConfig())
	}
	var core zapcore.Core = prompt{zapcore.NewCore(encoder, newPaced(w), level)}
	if level == zapcore.DebugLevel {
		core = zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)
	}

	return zap.New(core).With(zap.Int("pid", os.Getpid())), nil
}

func parseLevel(name string) (zapcore.Level, error) {
	switch strings.ToLower(name) {
	case "trace", "debug":
		return zapcore.DebugLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "warn", "warning":
		return zapcore.WarnLevel, nil
	case "error":
		return zapcore.ErrorLevel, nil
	case "fatal":
		return zapcore.FatalLevel, nil
	case "panic":
		return zapcore.PanicLevel, nil
	default:
		return 0, fmt.Errorf("not a valid log level: %q", name)
	}
}

func levelName(level zapcore.Level) string {
	if level == zapcore.WarnLevel {
		return "warning"
	}

	return level.String()
}

func encoderConfig() zapcore.EncoderConfig {
	encodeTime := zapcore.TimeEncoderOfLayout(timeText)
	encodeBare := zapcore.TimeEncoderOfLayout(bareText)

	return zapcore.EncoderConfig{
		TimeKey:    "time",
		LevelKey:   "level",
		MessageKey: "msg",
		NameKey:    "component",
		EncodeLevel: func(level zapcore.Level, to zapcore.PrimitiveArrayEncoder) {
			to.AppendString(levelName(level))
		},
		EncodeTime: func(when time.Time, to zapcore.PrimitiveArrayEncoder) {
			if bare(when) {
				encodeBare(when, to)
			} else {
				encodeTime(when.UTC(), to)
			}
		},
		EncodeDuration: zapcore.StringDurationEncoder,
		EncodeName:     zapcore.FullNameEncoder,
	}
}

// bare says that a time is to be written without a zone.
func bare(when time.Time) bool { return when.Location() == time.UTC }
