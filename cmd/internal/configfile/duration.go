package configfile

import (
	"fmt"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Duration is a time.Duration written as "1m30s". The number 0 needs no unit.
type Duration time.Duration

// UnmarshalTOML implements unstable.Unmarshaler. The parser itself takes a number for nanoseconds,
// since a Duration is one, and tells neither key nor line of a value of another type.
func (d *Duration) UnmarshalTOML(value []byte) error {
	if err := d.UnmarshalText([]byte(strings.Trim(string(value), `"'`))); err != nil {
		return &unstable.ParserError{Highlight: value, Message: err.Error()}
	}

	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`parse duration: %w: it is written as "1m30s"`, err)
	}
	*d = Duration(parsed)

	return nil
}

// String returns the duration as it is written in the file.
func (d Duration) String() string { return time.Duration(d).String() }
