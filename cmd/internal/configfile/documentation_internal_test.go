package configfile

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/require"
)

// documented returns docs/config.toml as operators read it, and with only the lines that show
// defaults, as if each were uncommented.
func documented(t *testing.T) (whole, defaultsOnly string) {
	t.Helper()
	content, err := os.ReadFile("../../../docs/config.toml")
	require.NoError(t, err)
	shown := regexp.MustCompile(`^#([a-z0-9_]+ = .*|\[[a-z_]+\])$`)

	var all, commented []string
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		switch match := shown.FindStringSubmatch(line); {
		case match != nil:
			all, commented = append(all, match[1]), append(commented, match[1])
		case strings.HasPrefix(line, "["):
			all, commented = append(all, line), append(commented, line)
		case !strings.HasPrefix(line, "#"):
			all = append(all, line)
		}
	}

	return strings.Join(all, "\n"), strings.Join(commented, "\n")
}

// keysOf returns the dotted keys of a struct.
func keysOf(kind reflect.Type, prefix string) []string {
	var keys []string
	for field := range fields(kind) {
		key := prefix + field.Tag.Get("toml")
		inner := field.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		switch {
		case field.Anonymous:
			keys = append(keys, keysOf(field.Type, prefix)...)
		case inner.Kind() == reflect.Struct:
			keys = append(keys, keysOf(inner, key+".")...)
		default:
			keys = append(keys, key)
		}
	}

	return keys
}

func fields(kind reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for field := range kind.Fields() {
			if !field.Anonymous && field.Tag.Get("toml") == "" {
				continue
			}
			if !yield(field) {
				return
			}
		}
	}
}

// keysIn returns the dotted keys that a document sets.
func keysIn(value any, prefix string, keys map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		keys[prefix] = true // may be one whose keys are free
		for key, inner := range value {
			keysIn(inner, strings.TrimPrefix(prefix+"."+key, "."), keys)
		}
	case []any:
		for _, inner := range value {
			if _, table := inner.(map[string]any); !table {
				keys[prefix] = true
			}
			keysIn(inner, prefix, keys)
		}
	default:
		keys[prefix] = true
	}
}

// TestDocumentedKeys asserts that the documentation names every key that is read, and no other.
func TestDocumentedKeys(t *testing.T) {
	t.Parallel()
	whole, _ := documented(t)

	var document map[string]any
	require.NoError(t, toml.Unmarshal([]byte(whole), &document))
	shown := map[string]bool{}
	keysIn(document, "", shown)
	old := append(keysOf(reflect.TypeFor[legacy](), ""),
		"i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning")
	for _, key := range append(keysOf(reflect.TypeFor[File](), ""), old...) {
		require.True(t, shown[key], "%s is missing in docs/config.toml", key)
	}

	loaded, err := parse([]byte(whole))
	require.NoError(t, err)
	require.Empty(t, loaded.Unknown)
	require.NoError(t, loaded.Validate())
	// A table stands for its keys.
	within := func(key, note string) bool {
		return key == note || strings.HasPrefix(key, note+".")
	}
	for _, key := range old {
		require.True(t, slices.ContainsFunc(loaded.Inert, func(note Note) bool {
			return within(key, note.Key)
		}), "%s is said to have no effect", key)
	}
	for _, note := range loaded.Inert {
		require.True(t, slices.ContainsFunc(old, func(key string) bool {
			return within(key, note.Key)
		}), "%s has an effect, says the page", note.Key)
	}
}

// TestDocumentedDefaults asserts that what the documentation shows as defaults are those of the
// program.
func TestDocumentedDefaults(t *testing.T) {
	t.Parallel()
	_, shown := documented(t)

	var got File
	require.NoError(t, toml.Unmarshal([]byte(shown), &got))
	want := defaults()
	want.Database.SessionPooled.Port = int64(0)
	want.VirtualStorages = []VirtualStorage{{Nodes: make([]Node, 3)}}
	require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(File{}, Auth{}, legacy{})))
}

// TestDocumentedExample asserts that the page is a file that can be used as it stands.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	loaded, err := Load("../../../docs/config.toml")
	require.NoError(t, err)
	require.Empty(t, loaded.Findings())
	require.Equal(t, "0.0.0.0:2305", loaded.ListenAddr)
}

// TestInstallationKeys asserts that the page about installing maps settings to keys that there are.
//
// Requirements: T023, T037
func TestInstallationKeys(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../docs/install.md")
	require.NoError(t, err)
	known := map[string]bool{}
	for _, key := range keysOf(reflect.TypeFor[File](), "") {
		for {
			known[key] = true
			above := strings.LastIndexByte(key, '.')
			if above < 0 {
				break
			}
			key = key[:above]
		}
	}
	row := regexp.MustCompile("(?m)^\\| `[^|]*` \\|[^|]*\\| (`[^|]*) \\|$")
	written := regexp.MustCompile("`(?:\\[+([a-z_.]+)\\]+ ?)?([a-z_]*)`")
	found := 0
	for _, match := range row.FindAllStringSubmatch(string(content), -1) {
		table := ""
		for _, key := range written.FindAllStringSubmatch(match[1], -1) {
			if key[1] != "" {
				table = key[1]
			}
			name := strings.Trim(table+"."+key[2], ".")
			require.True(t, known[name] || known["virtual_storage."+name], name)
			found++
		}
	}
	require.Greater(t, found, 20)
}
