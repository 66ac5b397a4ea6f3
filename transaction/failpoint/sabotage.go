//go:build sabotage

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"sync"
)

const sabotaged = true

// chosen is what the environment names. A variable of the package for the same reason as in
// armed.go.
//
//nolint:gochecknoglobals // see above; it is read once and not changed
var chosen = sync.OnceValue(func() string { return os.Getenv("PRAEFECT_SABOTAGE") })

// Sabotaged says whether the environment names the variant.
func Sabotaged(variant Variant) bool { return Variant(chosen()) == variant }

func checkVariant() error {
	if chosen() == "" || slices.Contains(Variants(), Variant(chosen())) {
		return nil
	}
	return fmt.Errorf("%w: PRAEFECT_SABOTAGE: there is no rule %q", ErrInvalid, chosen())
}

// Listed says whether the environment asks for the names of all variants.
func Listed() bool { return chosen() == "list" }
