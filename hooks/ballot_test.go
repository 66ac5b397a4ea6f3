package hooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/hooks"
	"praefect/proxy/gitalypb"
)

const (
	zero = "0000000000000000000000000000000000000000"
	ones = "1111111111111111111111111111111111111111"
)

// The expected hashes are those of the protocol: whoever changes one here can no longer vote
// together with other nodes.
func TestGoldenHashes(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		hash hooks.Hash
		want string
	}{
		"pre-receive": {
			hooks.SynchronizeHook("pre-receive"), "7475a0d87cbbee23b9a7e8ccde58a494db01611f",
		},
		"update": {
			hooks.SynchronizeHook("update"), "959087c30d483e52b9e8574a4bd58c4cd7070692",
		},
		"post-receive": {
			hooks.SynchronizeHook("post-receive"), "17709ba9f26ecc0b0109e3015ed9e824792841fb",
		},
		"locking a file": {
			hooks.LockingFile(), "1c7fed94f9d88c4fcc97d296a6752cdf623971ea",
		},
		"nothing borrowed": {
			hooks.NothingBorrowed(), "259f2d785585d296f3f93d6b798d5f3ef585f0e0",
		},
		"migrate objects": {
			hooks.MigrateObjects(), "4f04104349b49f2772c34ffacc27d46a2804014e",
		},
		"disconnect alternate": {
			hooks.DisconnectAlternate(), "dc2bd22287c9dd865c170382df0c1d91a8d4e4e0",
		},
		"already linked": {
			hooks.AlreadyLinked(), "2b2ba21f594461037fe1beea890831af2d7b5122",
		},
		"setting custom hooks": {
			hooks.SettingCustomHooks(), "c29e69f2b2db1f68f63b9779ad5bc5a726357ba2",
		},
		"one reference": {
			hooks.SumText(hooks.UpdateLine(zero, ones, "refs/heads/main")),
			"a37ac9196539c88f3ec62adaf4cd423557a6503b",
		},
		"final": {hooks.Final(), zero},
		"deleted references": {
			hooks.DeletedReferences([]string{"refs/heads/a", "refs/tags/b"}),
			hooks.SumText("refs/heads/a\nrefs/tags/b\n").String(),
		},
		"removing": {
			hooks.Removing("@a/1"), hooks.SumText("acquiring distributed lock @a/1").String(),
		},
		"pre-remove":  {hooks.PreRemove("@a/1"), hooks.SumText("pre-remove @a/1").String()},
		"post-remove": {hooks.PostRemove("@a/1"), hooks.SumText("post-remove @a/1").String()},
		"creation": {
			hooks.Creation([]byte("core.bare=true\n"), []byte("HEAD 1 refs/heads/main\n")),
			hooks.SumText("core.bare=true\nHEAD 1 refs/heads/main\n").String(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, tc.hash.String())
		})
	}
}

func TestPhasesAreThoseOfTheProtocol(t *testing.T) {
	t.Parallel()

	for phase, want := range map[hooks.Phase]gitalypb.VoteTransactionRequest_Phase{
		hooks.Prepared:     gitalypb.VoteTransactionRequest_PREPARED_PHASE,
		hooks.Committed:    gitalypb.VoteTransactionRequest_COMMITTED_PHASE,
		hooks.Synchronized: gitalypb.VoteTransactionRequest_SYNCHRONIZED_PHASE,
		hooks.Preparing:    gitalypb.VoteTransactionRequest_PREPARING_PHASE,
	} {
		require.Equal(t, int32(want), int32(phase), phase.String())
	}
	require.Equal(t, "phase 9", hooks.Phase(9).String())
}

func TestReadLines(t *testing.T) {
	t.Parallel()

	zero64 := strings.Repeat("0", 64)
	create := hooks.UpdateLine(zero, ones, "refs/heads/main")
	forced := hooks.UpdateLine(zero, zero, "refs/heads/old")

	for name, tc := range map[string]struct {
		input  string
		silent bool
	}{
		"nothing":                      {"", true},
		"creation":                     {create, false},
		"deletion with old value":      {hooks.UpdateLine(ones, zero, "refs/heads/x"), false},
		"deletion without old value":   {forced, true},
		"several of them":              {forced + forced, true},
		"one of them among others":     {forced + create + forced, false},
		"in a SHA-256 repository":      {hooks.UpdateLine(zero64, zero64, "refs/heads/x"), true},
		"symbolic reference":           {hooks.UpdateLine(zero, "ref:refs/heads/x", "HEAD"), false},
		"no line end":                  {strings.TrimSuffix(create, "\n"), false},
		"forced deletion, no line end": {strings.TrimSuffix(forced, "\n"), true},
		"zero id without a space":      {zero + " " + zero + "\n", false},
		"long name": {
			hooks.UpdateLine(zero, zero, "refs/heads/"+strings.Repeat("x", 10_000)), true,
		},
		"empty line": {"\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			lines, err := hooks.ReadLines(strings.NewReader(tc.input))
			require.NoError(t, err)
			require.Equal(t, tc.silent, lines.Silent)
			require.Equal(t, hooks.SumText(tc.input), lines.Hash)
		})
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add(hooks.UpdateLine(zero, ones, "refs/heads/main"))
	f.Add(hooks.UpdateLine(zero, zero, "refs/heads/main") + "\n")

	f.Fuzz(func(t *testing.T, input string) {
		lines, err := hooks.ReadLines(strings.NewReader(input))
		require.NoError(t, err)
		require.Equal(t, hooks.SumText(input), lines.Hash)

		// The rule as the protocol states it, on the whole input.
		silent := true
		for line := range strings.Lines(input) {
			forced := false
			for _, length := range []int{40, 64} {
				id := strings.Repeat("0", length)
				forced = forced || strings.HasPrefix(line, id+" "+id+" ")
			}
			silent = silent && forced
		}
		require.Equal(t, silent, lines.Silent)
	})
}

func BenchmarkReadLines(b *testing.B) {
	const references = 100_000
	input := strings.Repeat(hooks.UpdateLine(zero, ones, "refs/heads/some/branch"), references)

	b.ReportAllocs()
	b.SetBytes(int64(len(input)))
	for b.Loop() {
		if _, err := hooks.ReadLines(strings.NewReader(input)); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCustomHooksBallot(t *testing.T) {
	t.Parallel()

	dir := filepath.Join(t.TempDir(), "custom_hooks")
	missing, err := hooks.CustomHooks(dir)
	require.NoError(t, err)
	require.Equal(t, hooks.SumText(""), missing)

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "update.d"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pre-receive"), []byte("one"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "update.d", "x"), []byte("two"), 0o644))
	for _, path := range []string{dir, filepath.Join(dir, "update.d")} {
		require.NoError(t, os.Chmod(path, 0o755)) // whatever the umask is
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "pre-receive"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "update.d", "x"), 0o644))

	hash, err := hooks.CustomHooks(dir)
	require.NoError(t, err)
	require.Equal(t, hooks.Sum(
		[]byte("."), []byte{0x80, 0, 0x01, 0xed}, // directory, 0755
		[]byte("pre-receive"), []byte{0, 0, 0x01, 0xed}, []byte("one"),
		[]byte("update.d"), []byte{0x80, 0, 0x01, 0xed},
		[]byte("update.d/x"), []byte{0, 0, 0x01, 0xa4}, []byte("two"),
	), hash)
}
