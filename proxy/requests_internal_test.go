package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/method"
)

const refExistsName = "/gitaly.RefService/RefExists"

func calling(name string, pairs ...string) *visit {
	return &visit{method: name, incoming: metadata.Pairs(pairs...)}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	r := newRequests(method.Builtin())
	told := calling(refExistsName, "x-gitlab-client-name", "gitlab-web", "call_site", "site",
		"authorization", "Bearer v2.00.1", "deadline_type", "regular")
	r.count(told, true, codes.OK)
	r.count(told, true, codes.OK)
	r.count(calling(refExistsName), false, codes.Unauthenticated)
	r.count(calling("/no.Such/Method"), false, codes.Unimplemented)
	require.NoError(t, testutil.CollectAndCompare(r.vector, strings.NewReader(strings.NewReplacer(
		"NAME", "gitaly_service_client_requests_total",
		"REF", `grpc_method="RefExists",grpc_service="gitaly.RefService",`+
			`method_operation="accessor",method_scope="repository"`,
		"NONE", `grpc_method="unknown",grpc_service="unknown",`+
			`method_operation="unknown",method_scope="unknown"`,
	).Replace(`
# HELP NAME Ended calls of clients, by what they say about themselves
# TYPE NAME counter
NAME{auth_version="v2",call_site="site",client_name="gitlab-web",deadline_type="regular",`+
		`grpc_code="OK",REF} 2
NAME{auth_version="unknown",call_site="unknown",client_name="unknown",deadline_type="none",`+
		`grpc_code="Unauthenticated",REF} 1
NAME{auth_version="unknown",call_site="unknown",client_name="unknown",deadline_type="none",`+
		`grpc_code="Unimplemented",NONE} 1
`))))
}

// TestRequestsAreBounded lets a client that calls itself something else each time make no more
// series than there may be.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRequests(method.Builtin())
	kinds := make(map[requestKind]struct{})
	for i := range requestSeriesMax {
		kinds[requestKind{client: fmt.Sprint(i)}] = struct{}{}
	}
	known := *r.known.Load()
	for kind := range kinds {
		known[kind] = nil
	}
	for i := range 100 {
		r.count(calling(refExistsName, "client_name", fmt.Sprint("new", i)), false, codes.OK)
	}
	require.Equal(t, 1, testutil.CollectAndCount(r.vector))
	require.Len(t, *r.known.Load(), requestSeriesMax)
}

// TestUnknownMethodsAreOneKind keeps what is known as it is when a client calls one method after
// the other that is not in the table: it is copied with each kind that is new, and may be large.
func TestUnknownMethodsAreOneKind(t *testing.T) {
	t.Parallel()
	r := newRequests(method.Builtin())
	r.count(calling("/no.Such/Method"), false, codes.Unimplemented)
	known := r.known.Load()
	r.count(calling("/no.Such/Method"), false, codes.Unimplemented)
	r.count(calling("/no.Other/Method"), false, codes.Unimplemented)
	require.Same(t, known, r.known.Load())
	require.Equal(t, 1, testutil.CollectAndCount(r.vector))
}

// TestRequestsOfAnyLength counts clients that say much of themselves, each something else.
func TestRequestsOfAnyLength(t *testing.T) {
	t.Parallel()
	r := newRequests(method.Builtin())
	much := strings.Repeat("x", requestTextMax)
	for i := range 100 {
		r.count(calling(refExistsName, "client_name", fmt.Sprint(much, i)), false, codes.OK)
	}
	require.Equal(t, 1, testutil.CollectAndCount(r.vector))
	require.Len(t, *r.known.Load(), 1)
}

// TestRequestsOfAnyBytes counts a client that says of itself what is no text. Nothing keeps it from
// that, with a token or without one.
func TestRequestsOfAnyBytes(t *testing.T) {
	t.Parallel()
	r := newRequests(method.Builtin())
	r.count(calling(refExistsName, "client_name", "caf\xe9", "call_site", "\xff", "deadline_type",
		"\xfe"), true, codes.OK)
	require.Equal(t, 1, testutil.CollectAndCount(r.vector))
}

// TestCountingTakesNoMemory counts a call of a known kind.
func TestCountingTakesNoMemory(t *testing.T) { //nolint:paralleltest // It counts allocations.
	r := newRequests(method.Builtin())
	v := calling(refExistsName, "client_name", "gitlab-web", "call_site", "site")
	r.count(v, false, codes.OK)
	require.Zero(t, testing.AllocsPerRun(100, func() { r.count(v, false, codes.OK) }))
}
