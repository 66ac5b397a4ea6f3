package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKnownAnswersAlike asks for everything twice, and once after a good authorization with the
// same place was remembered.
func TestKnownAnswersAlike(t *testing.T) {
	t.Parallel()
	now := time.Unix(1535671615, 0)
	good := issue("foo", now)
	for name, authorization := range map[string]string{
		"good":            good,
		"empty":           "",
		"no scheme":       "v2",
		"other secret":    issue("bar", now),
		"other time":      strings.TrimSuffix(good, "1535671615") + "1535671625",
		"other case":      strings.Replace(good, "Bearer", "bearer", 1),
		"changed":         strings.Replace(good, "v2.3", "v2.4", 1),
		"longer":          good + "0",
		"expired":         issue("foo", now.Add(-window-time.Second)),
		"not yet":         issue("foo", now.Add(window+time.Second)),
		"ten seconds ago": issue("foo", now.Add(-10*time.Second)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var k known
			want := verify("foo", authorization, now)
			for range 2 {
				require.Equal(t, want, k.verify("foo", authorization, now))
			}
			require.Nil(t, k.verify("foo", good, now))
			require.Equal(t, want, k.verify("foo", authorization, now))
		})
	}
}

// TestKnownExpires lets time pass over a remembered authorization.
func TestKnownExpires(t *testing.T) {
	t.Parallel()
	now := time.Unix(1535671615, 0)
	var k known
	require.Nil(t, k.verify("foo", issue("foo", now), now))
	require.Nil(t, k.verify("foo", issue("foo", now), now.Add(window)))
	require.Equal(t, "token has expired",
		k.verify("foo", issue("foo", now), now.Add(window+time.Second)).reason)
	require.Equal(t, "token's validity window is in future",
		k.verify("foo", issue("foo", now), now.Add(-window-time.Second)).reason)
}

// TestKnownForgets remembers no more than its places.
func TestKnownForgets(t *testing.T) {
	t.Parallel()
	now := time.Unix(1535671615, 0)
	var k known
	for i := range 100 {
		at := now.Add(time.Duration(i) * time.Second)
		require.Nil(t, k.verify("foo", issue("foo", at), at))
	}
	seen := map[string]bool{}
	for i := range k.last {
		seen[*k.last[i].Load()] = true
	}
	require.Len(t, seen, places)
	require.True(t, seen[issue("foo", now.Add(99*time.Second))], "the latest are kept")
	require.True(t, seen[issue("foo", now.Add(90*time.Second))])
}

func BenchmarkKnown(b *testing.B) {
	now := time.Now()
	authorization := issue("secret", now)
	var k known
	b.ReportAllocs()
	for b.Loop() {
		if k.verify("secret", authorization, now) != nil {
			b.Fatal("refused")
		}
	}
}
