package configfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

const (
	// commandTimeout is for programs that ask a vault over the network.
	commandTimeout = time.Minute
	// commandErrors is how much of a program's complaints an error quotes.
	commandErrors = 1024
)

// extend runs the configured program and lays what it prints over the file. Arrays are merged
// element by element, so that a program can add tokens to nodes that are in the file.
func extend(loaded *Loaded, content []byte) (*Loaded, error) {
	printed, err := runCommand(loaded.ConfigCommand)
	if err != nil {
		return nil, err
	}
	var below map[string]any
	if err := toml.Unmarshal(content, &below); err != nil {
		return nil, describe(err)
	}
	merged, err := toml.Marshal(merge(below, translate(printed)))
	if err != nil {
		return nil, fmt.Errorf("merge generated config: %w", err)
	}

	whole, err := parse(merged)
	if err != nil {
		if syntax, ok := errors.AsType[*SyntaxError](err); ok { // Its place is one in no file.
			syntax.Line, syntax.Column = 0, 0
		}

		return nil, fmt.Errorf("unmarshalling generated config: %w", err)
	}
	whole.Unknown = place(whole.Unknown, loaded.Unknown)
	whole.Inert = place(whole.Inert, loaded.Inert)

	return whole, nil
}

func runCommand(path string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, path)
	command.Stdout, command.Stderr = &stdout, &stderr
	command.WaitDelay = time.Second

	if err := command.Run(); err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			return nil, fmt.Errorf("running config command: %w", err)
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: no end within %s", err, commandTimeout)
		}
		complaint := stderr.Bytes()
		complaint = complaint[:min(len(complaint), commandErrors)]

		return nil, fmt.Errorf("running config command: %w, stderr: %q", err, complaint)
	}

	decoder := json.NewDecoder(&stdout)
	decoder.UseNumber()
	var printed map[string]any
	if err := decoder.Decode(&printed); err != nil {
		return nil, fmt.Errorf("unmarshalling generated config: %w", err)
	}

	return printed, nil
}

// translate gives what JSON calls otherwise the names and types of TOML. Names of JSON do not care
// about case.
func translate(object map[string]any) map[string]any {
	out := make(map[string]any, len(object))
	for name, value := range object {
		if value = translateValue(value); value != nil {
			out[strings.ToLower(name)] = value
		}
	}
	rename(out, "tls", "cert_path", "certificate_path")
	rename(out, "auth", "tokenfile", "token_file")

	return out
}

func translateValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return translate(value)
	case []any:
		list := make([]any, 0, len(value))
		for _, one := range value {
			list = append(list, translateValue(one))
		}

		return list
	case json.Number:
		if number, err := value.Int64(); err == nil {
			return number
		}
		number, err := value.Float64()
		if err != nil {
			return value.String()
		}

		return number
	default:
		return value
	}
}

func rename(object map[string]any, section, from, to string) {
	inner, ok := object[section].(map[string]any)
	if !ok {
		return
	}
	if value, found := inner[from]; found {
		inner[to] = value
		delete(inner, from)
	}
}

// merge lays one document over another, which it may change.
func merge(below, above map[string]any) map[string]any {
	if below == nil {
		return above
	}
	for key, value := range above {
		below[key] = mergeValue(below[key], value)
	}

	return below
}

func mergeValue(below, above any) any {
	switch above := above.(type) {
	case map[string]any:
		if inner, ok := below.(map[string]any); ok {
			return merge(maps.Clone(inner), above)
		}
	case []any:
		inner, ok := below.([]any)
		if !ok {
			return above
		}
		inner = slices.Clone(inner)
		for i, value := range above {
			if i < len(inner) {
				inner[i] = mergeValue(inner[i], value)
			} else {
				inner = append(inner, value)
			}
		}

		return inner
	}

	return above
}

// place returns the notes of the merged document with their lines in the file.
func place(merged, inFile []Note) []Note {
	placed := slices.Clone(inFile)
	for _, note := range merged {
		known := func(other Note) bool { return other.Key == note.Key }
		if !slices.ContainsFunc(inFile, known) {
			note.Line = 0
			placed = append(placed, note)
		}
	}

	return placed
}
