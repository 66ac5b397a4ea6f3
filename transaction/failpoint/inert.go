//go:build !failpoints

package failpoint

const stoppable = false

// Hit does nothing: this program is built without the tag.
func Hit(Point) {}

// Check returns nil: this program is built without the tag.
func Check() error { return nil }
