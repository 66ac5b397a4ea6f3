package hooks

import (
	"crypto/sha1" //nolint:gosec // The protocol fixes SHA-1: hashes are compared, not trusted.
	"encoding/hex"
	"strings"
)

// Hash is the SHA-1 of a ballot, whatever the object format of the repository.
type Hash [sha1.Size]byte

// String returns the hash as lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Sum returns the hash of the concatenated parts.
func Sum(parts ...[]byte) Hash {
	digest := sha1.New() //nolint:gosec // as above
	for _, part := range parts {
		digest.Write(part)
	}

	return Hash(digest.Sum(nil))
}

// SumText returns the hash of a text.
func SumText(text string) Hash { return Sum([]byte(text)) }

// SynchronizeHook is the ballot of a hook of a push ("pre-receive", "update", "post-receive").
// Every node casts it; the primary after its custom hooks have succeeded.
func SynchronizeHook(hook string) Hash { return SumText("synchronize " + hook + " hook") }

// Final is what ends a push: twenty zero bytes, the hash of nothing.
func Final() Hash { return Hash{} }

// Creation is the ballot of a new repository: what git config lists of its configuration, then a
// line "<name> <object id> <symbolic target>" for each reference, HEAD first if it resolves.
func Creation(config, references []byte) Hash { return Sum(config, references) }

// Removing is the ballot cast before a repository is locked in order to be removed. The path is
// the one that the node was given.
func Removing(path string) Hash { return SumText("acquiring distributed lock " + path) }

// PreRemove is the ballot cast before a locked repository is renamed away.
func PreRemove(path string) Hash { return SumText("pre-remove " + path) }

// PostRemove is the ballot cast after a repository was renamed away.
func PostRemove(path string) Hash { return SumText("post-remove " + path) }

// LockingFile is the ballot cast before a file is locked. The content of the file, hashed with
// [Sum], is voted on next: once before it is put in place and once after.
func LockingFile() Hash { return SumText("preparing commit locked file") }

// AlreadyLinked synchronises nodes whose repository is linked to the wanted pool already.
func AlreadyLinked() Hash { return SumText("repository linked") }

// NothingBorrowed synchronises nodes whose repository has no pool to be disconnected from.
func NothingBorrowed() Hash { return SumText("no alternates") }

// MigrateObjects is the ballot for copying a pool's objects into a repository.
func MigrateObjects() Hash { return SumText("migrate objects") }

// DisconnectAlternate is the ballot for ending the use of a pool.
func DisconnectAlternate() Hash { return SumText("disconnect alternate") }

// SettingCustomHooks is the ballot cast before custom hooks are replaced; see [CustomHooks].
func SettingCustomHooks() Hash { return SumText("preparing set custom hooks") }

// DeletedReferences is the ballot of references that are deleted by name, in the order in which
// they are processed.
func DeletedReferences(names []string) Hash {
	var text strings.Builder
	for _, name := range names {
		text.WriteString(name)
		text.WriteByte('\n')
	}

	return SumText(text.String())
}

// UpdateLine is one line of what Git gives to its reference-transaction hook. The values are
// object ids, or "ref:" and a name for symbolic references.
func UpdateLine(from, to, reference string) string {
	return from + " " + to + " " + reference + "\n"
}
