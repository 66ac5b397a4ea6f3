package auth

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

func TestIssue(t *testing.T) {
	t.Parallel()
	require.Equal(t,
		"Bearer v2.3346cb25ecdb928defd368e7390522a86764bbdf1e8b21aaef27c4c23ec9c899.1535671615",
		issue("foo", time.Unix(1535671615, 999)))
}

// Only somebody who knows the token can get as far as a wrong time.
func TestSignedNonsense(t *testing.T) {
	t.Parallel()
	signed := "Bearer v2." + hex.EncodeToString(sign("foo", "noon")) + ".noon"
	failed := verify("foo", signed, time.Unix(0, 0))
	require.NotNil(t, failed)
	require.Equal(t, codes.PermissionDenied, failed.GRPCStatus().Code())
	require.Equal(t, "permission denied: cannot parse timestamp: "+
		`strconv.ParseInt: parsing "noon": invalid syntax`, failed.GRPCStatus().Message())
	require.Equal(t, "cannot parse timestamp", failed.reason)
}

// Times at the ends of the range do not wrap around.
func TestExtremeTimes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1535671600, 0)
	require.Equal(t, "token has expired", verifyTime("-9223372036854775808", now).reason)
	require.Equal(t, "token's validity window is in future",
		verifyTime("9223372036854775807", now).reason)
}

func TestFractions(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 500_000_000)
	require.NotNil(t, verifyTime("970", now))
	require.Nil(t, verifyTime("971", now))
	require.Nil(t, verifyTime("1030", now))
	require.NotNil(t, verifyTime("1031", now))
}

func FuzzVerify(f *testing.F) {
	f.Add("Bearer v2.3346cb25ecdb928defd368e7390522a86764bbdf1e8b21aaef27c4c23ec9c899.1535671615")
	f.Add("Bearer a.b.c")
	f.Fuzz(func(t *testing.T, authorization string) {
		now := time.Unix(1535671600, 0)
		if verify("foo", authorization, now) == nil {
			require.Regexp(t, `^(?i:bearer) v2\.[0-9a-fA-F]{64}\.[+0-9]+$`, authorization)
			require.NotNil(t, verify("other", authorization, now))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	now := time.Unix(1535671600, 0)
	token := issue("foo", now)
	b.ReportAllocs()
	for b.Loop() {
		if verify("foo", token, now) != nil {
			b.Fatal("refused")
		}
	}
}
