package tidy_test

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTopLevelFolders asserts that the first look at the tree shows its architecture and nothing
// else. docs and deploy appear when they have content; bin and bench are not committed.
func TestTopLevelFolders(t *testing.T) {
	t.Parallel()

	needed := []string{
		"cmd", "coordinator", "hooks", "migrations", "proxy", "test", "transaction",
	}
	allowed := append([]string{"bench", "bin", "deploy", "docs"}, needed...)

	entries, err := os.ReadDir(root)
	require.NoError(t, err)

	var folders []string
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
			folders = append(folders, entry.Name())
		}
	}

	require.Subset(t, folders, needed)
	require.Subset(t, allowed, folders, "a top-level folder is a decision for ARCHITECTURE.md")
}

// TestPackageNames bans names that say nothing about what is inside.
func TestPackageNames(t *testing.T) {
	t.Parallel()

	banned := []string{"util", "utils", "common", "helper", "helpers", "types", "base", "misc"}
	for _, f := range tree(t) {
		name := f.syntax.Name.Name
		if slices.Contains(banned, path.Base(f.dir)) || slices.Contains(banned, name) {
			t.Errorf("%s: package %s: name it after what it does", f.path, name)
		}
	}
}

// TestPackageDocs asserts that every package says what it is for.
func TestPackageDocs(t *testing.T) {
	t.Parallel()

	documented := map[string]bool{}
	for _, f := range tree(t) {
		if f.test() {
			continue
		}
		documented[f.dir] = documented[f.dir] || f.syntax.Doc != nil
	}

	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: the package has no documentation", dir)
		}
	}
}
