package hooks

import (
	"crypto/sha1" //nolint:gosec // see Hash
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CustomHooks is the ballot of a directory with custom hooks. For every entry in lexical order,
// the directory itself as "." first, it covers the relative path, the mode as four bytes with the
// highest first (in the numbering of [fs.FileMode]), and the content of what is no directory. A
// missing directory counts like an empty input.
func CustomHooks(dir string) (Hash, error) {
	digest := sha1.New() //nolint:gosec // see Hash
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return sumOf(digest), nil
	}

	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		return addEntry(digest, dir, path, entry)
	})
	if err != nil {
		return Hash{}, fmt.Errorf("hash custom hooks: %w", err)
	}

	return sumOf(digest), nil
}

func addEntry(digest io.Writer, dir, path string, entry fs.DirEntry) error {
	relative, err := filepath.Rel(dir, path)
	if err != nil {
		return fmt.Errorf("name of %q: %w", path, err)
	}
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("mode of %q: %w", path, err)
	}

	header := binary.BigEndian.AppendUint32([]byte(relative), uint32(info.Mode()))
	if _, err := digest.Write(header); err != nil {
		return fmt.Errorf("hash %q: %w", path, err)
	}
	if entry.IsDir() {
		return nil
	}

	return addContent(digest, path)
}

func addContent(digest io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open entry: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only

	if _, err := io.Copy(digest, file); err != nil {
		return fmt.Errorf("read entry: %w", err)
	}

	return nil
}
