package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// zero is the id of nothing.
const zero = "0000000000000000000000000000000000000000"

// command is what a push does to a reference; values are empty for nothing.
type command struct{ reference, old, value string }

// request is what Git sends for a push.
func request(commands []command, capabilities string, packed []byte) []byte {
	var out []byte
	for i, c := range commands {
		line := fmt.Sprintf("%s %s %s", orZero(c.old), orZero(c.value), c.reference)
		if i == 0 {
			line += "\x00" + capabilities
		}
		out = append(out, pktLine(line)...)
	}
	out = append(out, "0000"...)

	return append(out, packed...)
}

func orZero(id string) string {
	if id == "" {
		return zero
	}

	return id
}

func pktLine(line string) string { return fmt.Sprintf("%04x%s", len(line)+lengthSize, line) }

// lengthSize is the size of the length that begins a line, which includes it.
const lengthSize = 4

var errMalformed = errors.New("malformed answer to a push")

// pktLines cuts output into lines; a flush is an empty one.
func pktLines(output string) ([]string, error) {
	var lines []string
	for output != "" {
		if len(output) < lengthSize {
			return nil, fmt.Errorf("%w: %q", errMalformed, output)
		}
		length, err := strconv.ParseUint(output[:lengthSize], 16, 16)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		if length == 0 {
			lines, output = append(lines, ""), output[lengthSize:]

			continue
		}
		if length < lengthSize || int(length) > len(output) {
			return nil, fmt.Errorf("%w: %q", errMalformed, output)
		}
		lines = append(lines, output[lengthSize:length])
		output = output[length:]
	}

	return lines, nil
}

// report tells what became of the references of a push: the empty text if taken, else the reason.
type report map[string]string

// parseReport reads the lines that git receive-pack ends with.
func parseReport(output string) (report, error) {
	lines, err := pktLines(output)
	if err != nil {
		return nil, err
	}

	found := report{}
	unpacked := false
	for _, line := range lines {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		name, reason, _ := strings.Cut(rest, " ")
		switch {
		case word == "unpack":
			unpacked = rest == "ok"
		case !unpacked:
		case word == "ok":
			found[name] = ""
		case word == "ng":
			found[name] = reason
		}
	}
	if !unpacked {
		return nil, fmt.Errorf("%w: not unpacked: %q", errMalformed, output)
	}

	return found, nil
}

// demultiplex takes the band with the report out of output with side bands, and the messages.
func demultiplex(output string) (data, messages string, err error) {
	lines, err := pktLines(output)
	if err != nil {
		return "", "", err
	}

	var band1, band2 strings.Builder
	for _, line := range lines {
		switch {
		case line == "":
		case line[0] == 1:
			band1.WriteString(line[1:])
		default:
			band2.WriteString(line[1:])
		}
	}

	return band1.String(), band2.String(), nil
}

// afterAdvertisement is what follows the list of references that a push over SSH begins with.
func afterAdvertisement(output string) string {
	_, rest, found := strings.Cut(output, "\n0000")
	if !found {
		return ""
	}

	return rest
}
