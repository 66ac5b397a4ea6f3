package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
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
	Key string
	// Line is 0 for keys that config_command printed.
	Line int
	// Text says why an inert key has no effect.
	Text string
}

// SyntaxError says that a file is not TOML, or that a value has not the type that its key needs.
type SyntaxError struct {
	// Line and Column are 0 when the key comes from config_command.
	Line, Column int
	// Key is the dotted path, if it is known.
	Key string
	// Message never quotes the file.
	Message string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	text := e.Message
	if e.Key != "" {
		text = e.Key + ": " + text
	}
	if e.Line == 0 {
		return text
	}

	return fmt.Sprintf("line %d column %d: %s", e.Line, e.Column, text)
}

// Load reads a file. Errors are those of the file system, of the syntax and of types, the last two
// as [SyntaxError]; whether the values make sense is what [File.Findings] tells. If the file names
// them, a program is run for more configuration and the token file is read.
func Load(path string) (*Loaded, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says "open PATH: reason" already.
	}

	return read(content)
}

// Read is [Load] for a file that is open already.
func Read(from io.Reader) (*Loaded, error) {
	content, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}

	return read(content)
}

func read(content []byte) (*Loaded, error) {
	loaded, err := parse(content)
	if err != nil {
		return nil, err
	}
	if loaded.ConfigCommand != "" {
		if loaded, err = extend(loaded, content); err != nil {
			return nil, err
		}
	}

	if err := loaded.Auth.readTokenFile(); err != nil {
		return nil, err
	}

	return loaded, nil
}

func parse(content []byte) (*Loaded, error) {
	loaded := &Loaded{File: defaults()}
	decoder := decoderOf(content).DisallowUnknownFields()

	// All known keys are decoded also when others are unknown.
	var missing *toml.StrictMissingError
	switch err := decoder.Decode(&loaded.File); {
	case errors.As(err, &missing):
		loaded.note(missing.Errors)
	case err != nil:
		return nil, describe(err)
	}
	if err := decoderOf(content).Decode(&loaded.legacy); err != nil {
		return nil, describe(err)
	}

	return loaded, nil
}

// decoderOf returns a decoder that lets [Duration] read itself.
func decoderOf(content []byte) *toml.Decoder {
	return toml.NewDecoder(bytes.NewReader(content)).EnableUnmarshalerInterface()
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

	return &SyntaxError{
		Line: line, Column: column, Key: strings.Join(decode.Key(), "."),
		Message: strings.ReplaceAll(text, "configfile.", ""),
	}
}

// Warnings are what a server should say about a file with which it starts.
func (l *Loaded) Warnings() []Finding {
	tolerated := slices.DeleteFunc(l.Findings(), func(f Finding) bool { return !f.Tolerated })

	return tolerated
}

// SharedAddress is one address that several nodes of a virtual storage have.
type SharedAddress struct{ VirtualStorage, Address string }

// SharedAddresses returns where losing one machine would lose several copies.
func (f *File) SharedAddresses() []SharedAddress {
	var shared []SharedAddress
	for _, virtual := range f.VirtualStorages {
		seen := map[string]bool{}
		for _, node := range virtual.Nodes {
			if seen[node.Address] {
				shared = append(shared, SharedAddress{virtual.Name, node.Address})
			}
			seen[node.Address] = true
		}
	}

	return shared
}
