package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is a line of the list of commands.
func line(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// TestCommandList tells pushes that may delete something from those that surely do not, in whatever
// pieces they come.
func TestCommandList(t *testing.T) {
	t.Parallel()
	id, zero := strings.Repeat("a1", 20), strings.Repeat("0", 40)
	long, longZero := strings.Repeat("a1", 32), strings.Repeat("0", 64)
	update := line(id + " " + id + " refs/heads/a\x00report-status\n")
	for name, tc := range map[string]struct {
		list                   string
		over, deletes, several bool
	}{
		"update":            {update + flush, true, false, false},
		"creation":          {line(zero+" "+id+" refs/heads/a") + flush, true, false, false},
		"deletion":          {line(id+" "+zero+" refs/heads/a") + flush, true, true, false},
		"blind deletion":    {line(zero+" "+zero+" r\x00report-status") + flush, true, true, false},
		"deletion, SHA-256": {line(long+" "+longZero+" refs/heads/a") + flush, true, true, false},
		"update, SHA-256":   {line(long+" "+long+" refs/heads/a") + flush, true, false, false},
		"second is one":     {update + line(id+" "+zero+" refs/heads/b") + flush, true, true, true},
		"long name": {
			line(id+" "+id+" refs/heads/"+strings.Repeat("0", 1000)) + flush, true, false, false,
		},
		"shallow":    {line("shallow "+id) + update + flush, true, false, false},
		"signed":     {line("push-cert\x00push-options") + update + flush, true, true, true},
		"not ended":  {update, false, false, false},
		"nonsense":   {"PACK" + update, true, true, true},
		"no command": {line(id+" refs/heads/a") + flush, true, true, true},
		"no length":  {"0004" + flush, true, true, true},
		"other ids":  {line(id+" "+long+" refs/heads/a") + flush, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for size := 1; size <= len(tc.list); size++ {
				var list commandList
				for rest := tc.list; rest != ""; {
					n := min(size, len(rest))
					list.read([]byte(rest[:n]))
					rest = rest[n:]
				}
				require.Equal(t, tc.over, list.over, size)
				require.Equal(t, tc.deletes, list.deletes, size)
				require.Equal(t, tc.several, list.several, size)
				require.LessOrEqual(t, cap(list.head), 2*lineHead, "it is bounded")
			}
		})
	}
}
