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
		return a.Token.Reveal()
	}

	return a.fromFile.Reveal()
}

func (a *Auth) readTokenFile() error {
	if a.TokenFile == "" {
		return nil
	}

	content, err := os.ReadFile(a.TokenFile)
	if err != nil {
		return fmt.Errorf("reading token file: %w", err)
	}
	a.fromFile = Secret(strings.TrimSpace(string(content)))

	return nil
}
