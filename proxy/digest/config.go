package digest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"praefect/proxy/gitalypb"
)

// configMax bounds a configuration file. Usual ones have less than 1 KiB.
const configMax = 16 << 20

// config hashes the configuration in a canonical order.
func (r *replica) config(ctx context.Context) (string, error) {
	stream, err := gitalypb.NewRepositoryServiceClient(r.conn).GetConfig(ctx,
		&gitalypb.GetConfigRequest{Repository: r.message})
	if err != nil {
		return "", fmt.Errorf("get configuration: %w", err)
	}
	sent := &reader[gitalypb.GetConfigResponse]{
		stream: stream,
		data:   func(m *gitalypb.GetConfigResponse) []byte { return m.GetData() },
	}
	content, err := io.ReadAll(io.LimitReader(sent, configMax+1))
	if err != nil {
		return "", fmt.Errorf("get configuration: %w", err)
	}
	if len(content) > configMax {
		return "", fmt.Errorf("%w: configuration of more than %d bytes", ErrTooLarge, configMax)
	}

	digest := sha256.New()
	digest.Write(canonical(content))
	return sum(Config, digest), nil
}

// setting is one line of a configuration file.
type setting struct {
	section, key, line string
}

// canonical sorts the settings of a configuration file by section and key. Those of one key stay in
// their order, since a later value overrides an earlier one. Only the plain form that Git itself
// writes is sorted: anything else stays as it is, and then every byte counts.
func canonical(content []byte) []byte {
	settings, ok := parse(content)
	if !ok {
		return content
	}
	slices.SortStableFunc(settings, func(a, b setting) int {
		return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.key, b.key))
	})
	var sorted bytes.Buffer
	for _, setting := range settings {
		sorted.WriteString(setting.section + "\n" + setting.line + "\n")
	}
	return sorted.Bytes()
}

// parse splits the plain form: a line for each section, and one for each setting after it. It
// refuses what continues on the next line, and includes, whose place matters.
func parse(content []byte) ([]setting, bool) {
	var settings []setting
	section := ""
	for text := range strings.Lines(string(content)) {
		text = strings.TrimSpace(text)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
		case strings.HasSuffix(text, `\`):
			return nil, false
		case plain(text):
			section = text
		case section == "" || text[0] == '[':
			return nil, false
		default:
			settings = append(settings, setting{section: section, key: key(text), line: text})
		}
	}
	return settings, true
}

// plain says that a line names a section and does nothing else.
func plain(line string) bool {
	return line[0] == '[' && strings.IndexByte(line, ']') == len(line)-1 &&
		!strings.HasPrefix(strings.ToLower(line), "[include")
}

// key is the name of a setting: letters, digits and hyphens, in any case.
func key(line string) string {
	end := strings.IndexFunc(line, func(r rune) bool {
		return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if end < 0 {
		end = len(line)
	}
	return strings.ToLower(line[:end])
}
