package logging

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// textEncoder writes key=value pairs: time, level and msg first, the rest in the order of the
// keys. Values with anything but plain characters are quoted.
type textEncoder struct {
	*zapcore.MapObjectEncoder

	pool buffer.Pool
}

func newTextEncoder() zapcore.Encoder {
	return &textEncoder{
		MapObjectEncoder: zapcore.NewMapObjectEncoder(), pool: buffer.NewPool(),
	}
}

// Clone implements zapcore.Encoder.
func (e *textEncoder) Clone() zapcore.Encoder {
	clone := zapcore.NewMapObjectEncoder()
	maps.Copy(clone.Fields, e.Fields)

	return &textEncoder{MapObjectEncoder: clone, pool: e.pool}
}

// EncodeEntry implements zapcore.Encoder.
func (e *textEncoder) EncodeEntry(
	entry zapcore.Entry, fields []zapcore.Field,
) (*buffer.Buffer, error) {
	all := zapcore.NewMapObjectEncoder()
	maps.Copy(all.Fields, e.Fields)
	if entry.LoggerName != "" {
		all.AddString("component", entry.LoggerName)
	}
	for _, field := range fields {
		field.AddTo(all)
	}

	line := e.pool.Get()
	line.AppendString("time=" + strconv.Quote(text(entry.Time)))
	line.AppendString(" level=" + levelName(entry.Level) + " msg=" + quote(entry.Message))
	for _, key := range slices.Sorted(maps.Keys(all.Fields)) {
		line.AppendString(" " + key + "=" + quote(text(all.Fields[key])))
	}
	line.AppendByte('\n')

	return line, nil
}

// text is how a value is written before it is quoted.
func text(value any) string {
	when, ok := value.(time.Time)
	switch {
	case !ok:
		return fmt.Sprint(value)
	case bare(when):
		return when.Format(bareText)
	default:
		return when.UTC().Format(timeText)
	}
}

func quote(text string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' ||
			strings.ContainsRune("-._/@^+:", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}

	return strconv.Quote(text)
}
