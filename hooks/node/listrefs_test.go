package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
)

// TestListManyRefs lists more references than go into one message, in pages that end where messages
// do and elsewhere.
func TestListManyRefs(t *testing.T) {
	t.Parallel()

	f := fill(t, start(t))
	const many = 2500
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	want := make([]string, 0, many)
	for i := range many {
		fmt.Fprintf(&packed, "%s refs/many/%04d\n", f.first, i)
		want = append(want, fmt.Sprintf("refs/many/%04d %s", i, f.first))
	}
	require.NoError(t, os.WriteFile(
		filepath.Join(f.path(f.repo), "packed-refs"), []byte(packed.String()), 0o600))

	patterns := [][]byte{[]byte("refs/many/")}
	found, err := f.listRefs(t, &gitalypb.ListRefsRequest{Patterns: patterns})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, found))

	for _, limit := range []int32{500, 999, 1000, 1250, 2499, 2500, 2501} {
		var all []string
		for token := ""; ; {
			page, err := f.listRefs(t, &gitalypb.ListRefsRequest{
				Patterns: patterns, PaginationParams: &gitalypb.PaginationParameter{
					Limit: limit, PageToken: token,
				},
			})
			require.NoError(t, err)
			last := len(page) - 1
			next, more := strings.CutPrefix(page[last], "next ")
			if !more {
				all = append(all, page...)
				break
			}
			require.Len(t, page, int(limit)+1)
			all, token = append(all, page[:last]...), next
		}
		require.Empty(t, cmp.Diff(want, all), "pages of %d", limit)
	}
}
