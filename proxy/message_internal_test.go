package proxy

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	m := newMessages()
	require.Equal(t, "finished unary call with code OK", m.of(false, codes.OK))
	require.Equal(t, "finished streaming call with code PermissionDenied",
		m.of(true, codes.PermissionDenied))
	require.Equal(t, "finished streaming call with code Unauthenticated",
		m.of(true, codes.Unauthenticated))
	require.Equal(t, "finished unary call with code Unknown", m.of(false, codes.Code(99)))
}

func TestLogFilter(t *testing.T) {
	t.Parallel()
	const check, read = "/grpc.health.v1.Health/Check", "/gitaly.RefService/RefExists"
	all, health := regexp.MustCompile(`.`), regexp.MustCompile(`Health/Check$`)
	for name, tc := range map[string]struct {
		filter      LogFilter
		check, read bool
	}{
		"default":        {LogFilter{}, false, true},
		"deny":           {LogFilter{Deny: regexp.MustCompile(`RefService`)}, true, false},
		"allow":          {LogFilter{Allow: health}, true, true},
		"allow another":  {LogFilter{Allow: regexp.MustCompile(`RefService`)}, false, true},
		"allow wins":     {LogFilter{Allow: health, Deny: all}, true, false},
		"everything":     {LogFilter{Allow: all}, true, true},
		"nothing at all": {LogFilter{Deny: all}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.check, tc.filter.logs(check))
			require.Equal(t, tc.read, tc.filter.logs(read))
		})
	}
}
