//go:build !failpoints

package failpoint

const stoppable = false

// Hit does nothing: this program is built without the tag.
func Hit(Point) {}

func checkPoints() error { return nil }
