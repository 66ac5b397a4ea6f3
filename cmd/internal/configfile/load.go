package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"praefect/proxy/backchannel"
)

// Loaded is a file that was read, and what an operator should be told about it.
type Loaded struct {
	File

	// Unknown are keys that no release is known to read, in the order of the file.
	Unknown []Note
	// Inert are known keys that have no effect here, in the order of the file.
	Inert []Note
}

// Note is a remark about one key.
type Note struct {
	// Key is the dotted path; elements of arrays are told apart by the line only.
	Key  string
	Line int
	// Text says why an inert key has no effect.
	Text string
}

// Load reads a file. Errors are those of the file system, of the syntax and of types; whether the
// values make sense is what [File.Validate] tells. The token file, if one is named, is read here.
func Load(path string) (*Loaded, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says "open PATH: reason" already.
	}

	loaded, err := parse(content)
	if err != nil {
		return nil, err
	}

	if err := loaded.Auth.readTokenFile(); err != nil {
		return nil, err
	}

	return loaded, nil
}

func parse(content []byte) (*Loaded, error) {
	loaded := &Loaded{File: defaults()}
	decoder := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields()

	// All known keys are decoded also when others are unknown.
	var missing *toml.StrictMissingError
	switch err := decoder.Decode(&loaded.File); {
	case errors.As(err, &missing):
		loaded.note(missing.Errors)
	case err != nil:
		return nil, describe(err)
	}

	return loaded, nil
}

// note sorts the keys that File does not have into inert and unknown ones.
func (l *Loaded) note(missing []toml.DecodeError) {
	for _, err := range missing {
		line, _ := err.Position()
		key := strings.Join(err.Key(), ".")

		if why, ok := inert(err.Key()); ok {
			l.Inert = append(l.Inert, Note{Key: key, Line: line, Text: why})
		} else {
			l.Unknown = append(l.Unknown, Note{Key: key, Line: line})
		}
	}
}

// describe names place and key of an error; the parser's own text names Go types.
func describe(err error) error {
	var decode *toml.DecodeError
	if !errors.As(err, &decode) {
		return fmt.Errorf("parse: %w", err)
	}

	line, column := decode.Position()
	text := strings.TrimPrefix(decode.Error(), "toml: ")
	if found, target, ok := strings.Cut(text, " into struct field "); ok {
		_, kind, _ := strings.Cut(target, " of type ")
		text = found + " into " + kind
	}
	if key := strings.Join(decode.Key(), "."); key != "" {
		text = key + ": " + text
	}

	return fmt.Errorf("line %d column %d: %s", line, column, text)
}

// gracefulStopDefault is how long an ordinary clone or push may still take.
const gracefulStopDefault = time.Minute

// defaults is what an empty file means.
func defaults() File {
	multiplexing := backchannel.DefaultConfig()

	return File{
		GracefulStopTimeout: Duration(gracefulStopDefault),
		Logging:             Logging{Format: "text", Level: "info"},
		Yamux: Yamux{
			MaximumStreamWindowSizeBytes: multiplexing.StreamWindow,
			AcceptBacklog:                multiplexing.AcceptBacklog,
		},
	}
}
