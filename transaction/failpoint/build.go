package failpoint

import "errors"

// ErrInvalid is returned for an environment that asks for something unknown.
var ErrInvalid = errors.New("invalid environment")

// Check says what is wrong with the environment variables that this program looks at. A program
// that is built without tags looks at none.
func Check() error { return errors.Join(checkPoints(), checkVariant()) }

// Tags returns the build tags of this package that this program was built with: none in what users
// install. Whoever starts a program that has some should say so loudly.
func Tags() []string {
	var tags []string
	if stoppable {
		tags = append(tags, "failpoints")
	}
	if sabotaged {
		tags = append(tags, "sabotage")
	}
	return tags
}
