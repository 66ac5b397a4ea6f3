package configfile

import (
	"fmt"
	"time"
)

// Duration is a time.Duration written as "1m30s". The number 0 needs no unit.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("parse duration: %w", err)
	}
	*d = Duration(parsed)

	return nil
}

// String returns the duration as it is written in the file.
func (d Duration) String() string { return time.Duration(d).String() }
