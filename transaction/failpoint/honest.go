//go:build !sabotage

package failpoint

const sabotaged = false

// Sabotaged is false: this program is built without the tag.
func Sabotaged(Variant) bool { return false }

// Listed is false: this program is built without the tag.
func Listed() bool { return false }
