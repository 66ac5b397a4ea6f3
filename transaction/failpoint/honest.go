//go:build !sabotage

package failpoint

const sabotaged = false

// Sabotaged is false: this program is built without the tag.
func Sabotaged(Variant) bool { return false }

func checkVariant() error { return nil }

// Listed is false: this program is built without the tag.
func Listed() bool { return false }
