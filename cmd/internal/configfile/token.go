package configfile

import (
	"fmt"
	"os"
	"strings"
)

// Secret returns the token that clients must present, wherever it was configured. It is empty when
// nobody needs one.
func (a *Auth) Secret() string {
	if a.Token != "" {
		return a.Token
	}

	return a.fromFile
}

func (a *Auth) readTokenFile() error {
	if a.TokenFile == "" {
		return nil
	}

	content, err := os.ReadFile(a.TokenFile)
	if err != nil {
		return fmt.Errorf("reading token file: %w", err)
	}
	a.fromFile = strings.TrimSpace(string(content))

	return nil
}

// tokenFileMode reports a token file that others can read.
func (a *Auth) tokenFileMode() error {
	info, err := os.Stat(a.TokenFile)
	if err != nil {
		return fmt.Errorf("stat token file: %w", err)
	}

	mode := info.Mode().Perm()
	if mode != 0o600 && mode != 0o400 {
		return fmt.Errorf("file permission %#o is too permissive, should be 0600 or 0400", mode)
	}

	return nil
}
