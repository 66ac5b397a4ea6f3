package tidy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// layer says what the packages at or below a folder may import, tests left out.
type layer struct {
	// folder is a path of the module; the longest that fits a package wins.
	folder string
	// own are the folders of this module that may be imported, their subfolders included;
	// a trailing "$" excludes the subfolders.
	own []string
	// foreign are prefixes of other modules' packages that must not be imported;
	// stdlib-only layers name "*".
	foreign []string
	why     string
}

// The wire packages: what a node and a proxy share.
const (
	messages = "proxy/gitalypb"
	// stops are the places where tests stop a process; nothing of them ships.
	stops    = "transaction/failpoint"
	anything = "*"
)

func layers() []layer {
	noWire := []string{"google.golang.org/grpc", "google.golang.org/protobuf"}
	noSQL := []string{"github.com/jackc/pgx", "database/sql", "github.com/pressly/goose"}

	return []layer{
		{
			folder: "transaction", foreign: []string{anything},
			why: "the voting rules are pure: standard library only, so they can be proved",
		},
		{
			folder: "transaction/registry",
			own:    []string{"transaction$", stops, "coordinator$", messages},
			why:    "the shell around the voting rules serves the vote RPC and asks for turns",
		},
		{
			folder: "coordinator", own: []string{"transaction$", stops, "coordinator$"},
			foreign: slices.Concat(noWire, noSQL),
			why:     "it decides, without wire and SQL; sub-packages do not import each other",
		},
		{
			folder: "coordinator/postgres",
			own: []string{
				"transaction$", stops, "coordinator$", "coordinator/postgres", "migrations",
			},
			why: "SQL lives here alone",
		},
		{folder: "migrations", why: "SQL files and their embedding"},
		{
			folder: "proxy",
			own:    []string{"transaction", "coordinator", "proxy"}, foreign: noSQL,
			why: "it carries; what is stored where is the coordinator's",
		},
		{
			folder: "hooks", own: []string{"hooks", "proxy"}, foreign: noSQL,
			why: "a node knows the wire, nothing of the cluster",
		},
		{
			folder: "cmd",
			own: []string{
				"cmd/internal", "transaction", "coordinator", "proxy", "hooks", "migrations",
			},
			why: "binaries compose the packages; nothing imports them",
		},
		{
			folder: "cmd/praefect-hooks", own: []string{"hooks"}, foreign: []string{anything},
			why: "Git starts it several times a push: without other modules it starts at once",
		},
		{
			folder: "cmd/praefect-demo", own: []string{"test/cluster", "proxy", "coordinator"},
			why: "the demo is an end-to-end test that talks: it shares the harness of processes",
		},
		{
			folder: "test",
			own: []string{
				"transaction", "coordinator", "proxy", "hooks", "migrations", "test",
			},
			why: "tests and measurements see everything but the binaries, which they start",
		},
	}
}

// forbidden are edges that a layer's list would allow.
func forbidden() map[string][]string {
	return map[string][]string{
		"proxy": {"coordinator/postgres", "coordinator/memory"},
		"hooks": {"proxy/method", "proxy/githttp", "proxy/backend", "proxy$"},
	}
}

// TestImports asserts that dependencies point one way.
func TestImports(t *testing.T) {
	t.Parallel()

	edges := map[string]map[string]bool{}
	for _, f := range tree(t) {
		if f.test() {
			continue
		}

		l, ok := layerOf(f.dir)
		if !ok {
			t.Errorf("%s: the folder belongs to no layer, add it to layers()", f.path)

			continue
		}
		if edges[f.dir] == nil {
			edges[f.dir] = map[string]bool{}
		}
		checkImports(t, f, l, edges[f.dir])
	}

	if t.Failed() {
		t.Log("the graph of imports:\n" + graph(edges))
	}
}

func checkImports(t *testing.T, f file, l layer, edges map[string]bool) {
	t.Helper()

	own, other := f.imports(t)
	for _, path := range own {
		edges[path] = true
		if path == f.dir {
			continue
		}
		if !within(path, l.own) || within(path, forbidden()[l.folder]) {
			t.Errorf("%s: must not import %s: %s", f.path, path, l.why)
		}
	}

	for _, path := range other {
		if banned(path, l.foreign) {
			t.Errorf("%s: must not import %s: %s", f.path, path, l.why)
		}
	}
}

func layerOf(dir string) (layer, bool) {
	var found layer
	for _, l := range layers() {
		if within(dir, []string{l.folder}) && len(l.folder) > len(found.folder) {
			found = l
		}
	}

	return found, found.folder != ""
}

// within tells whether a path is one of the folders or lies below one.
func within(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		if exact, ok := strings.CutSuffix(folder, "$"); ok {
			return path == exact
		}

		return path == folder || strings.HasPrefix(path, folder+"/")
	})
}

// banned tells whether a package of another module is excluded. The standard library is what has
// no dot in its first element.
func banned(path string, prefixes []string) bool {
	first, _, _ := strings.Cut(path, "/")

	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		if prefix == anything {
			return strings.Contains(first, ".")
		}

		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

func graph(edges map[string]map[string]bool) string {
	var b strings.Builder
	for _, from := range slices.Sorted(maps.Keys(edges)) {
		to := slices.Sorted(maps.Keys(edges[from]))
		fmt.Fprintf(&b, "  %-28s -> %s\n", from, strings.Join(to, " "))
	}

	return b.String()
}
