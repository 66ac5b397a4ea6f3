package hooks

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // see Hash
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Lines is what a node makes of the input of a reference-transaction hook.
type Lines struct {
	// Hash is that of the complete input, unmodified.
	Hash Hash
	// Silent says that nothing is voted: the input is empty or has nothing but deletions without
	// an old value. Git announces those for the packed copy of a reference too, so their number
	// depends on when a node last packed its references.
	Silent bool
}

// ReadLines reads the input of a reference-transaction hook to its end. Memory does not grow with
// the input.
func ReadLines(input io.Reader) (Lines, error) {
	digest := sha1.New() //nolint:gosec // see Hash
	reader := bufio.NewReader(io.TeeReader(input, digest))

	silent := true
	for {
		prefix, err := readPrefix(reader)
		if len(prefix) > 0 && !isForcedDeletion(prefix) {
			silent = false
		}
		if errors.Is(err, io.EOF) {
			return Lines{Hash: sumOf(digest), Silent: silent}, nil
		}
		if err != nil {
			return Lines{}, fmt.Errorf("read reference updates: %w", err)
		}
	}
}

// prefixMax is more than two object ids and their spaces have, in any object format.
const prefixMax = 160

// readPrefix reads a line and returns its beginning. The error io.EOF says that the input ended,
// with or without a last line.
func readPrefix(reader *bufio.Reader) ([]byte, error) {
	var prefix []byte
	for {
		part, err := reader.ReadSlice('\n')
		if room := prefixMax - len(prefix); room > 0 {
			prefix = append(prefix, part[:min(room, len(part))]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return prefix, err //nolint:wrapcheck // The caller compares it with io.EOF.
		}
	}
}

// isForcedDeletion tells whether a line goes from the zero id to the zero id. The ids of a
// repository all have the same length, so both known lengths can be accepted.
func isForcedDeletion(line []byte) bool {
	for _, length := range []int{40, 64} {
		zero := strings.Repeat("0", length) + " "
		if bytes.HasPrefix(line, []byte(zero+zero)) {
			return true
		}
	}

	return false
}

func sumOf(digest hash.Hash) Hash { return Hash(digest.Sum(nil)) }
