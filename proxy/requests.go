package proxy

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/method"
)

const (
	// requestSeriesMax bounds the series of requests: what clients say about themselves is theirs
	// to choose. It is several times what an installation of GitLab has.
	requestSeriesMax = 10_000
	// requestTextMax bounds what a client says in one series, in bytes.
	requestTextMax = 1 << 10
	// unknown stands for what a client does not say, other for what is too much.
	unknown = "unknown"
	other   = "other"
)

// requestCounts counts the calls of clients by what they say about themselves. Counting takes no
// memory, except for the first call of its kind, and no lock if the method is in the table.
type requestCounts struct {
	vector  *prometheus.CounterVec
	methods Methods
	known   atomic.Pointer[map[requestKind]prometheus.Counter]
	mu      sync.Mutex // orders the replacements of known
}

// requestKind is what calls of one series have in common.
type requestKind struct {
	method, client, site, version, deadline string
	code                                    codes.Code
}

func newRequests(methods Methods) *requestCounts {
	r := &requestCounts{
		methods: methods,
		vector: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_service_client_requests_total",
			Help: "Ended calls of clients, by what they say about themselves",
		}, []string{
			"client_name", "grpc_service", "grpc_method", "call_site", "auth_version", "grpc_code",
			"deadline_type", "method_operation", "method_scope",
		}),
	}
	r.known.Store(&map[requestKind]prometheus.Counter{})
	return r
}

// count counts a call that has ended.
func (r *requestCounts) count(v *visit, hasDeadline bool, code codes.Code) {
	kind := requestKind{
		method: v.method, client: clientName(v.incoming), site: first(v.incoming, "call_site"),
		version: authVersion(v.incoming), deadline: "none", code: code,
	}
	if hasDeadline {
		kind.deadline = first(v.incoming, "deadline_type")
	}
	counter, ok := (*r.known.Load())[kind]
	if !ok {
		counter = r.learn(kind)
	}
	counter.Inc()
}

// learn makes the series of a kind of calls.
func (r *requestCounts) learn(kind requestKind) prometheus.Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := *r.known.Load()
	called, found := r.methods.Lookup(kind.method)
	if len(known) >= requestSeriesMax ||
		len(kind.client)+len(kind.site)+len(kind.deadline) > requestTextMax {
		// Methods, codes and the rest are few.
		kind.client, kind.site, kind.deadline = other, other, other
	}
	if !found {
		called = &method.Method{}
		kind.method = stranger
	}
	if counter, ok := known[kind]; ok {
		// It has come in between, or is that of all methods which are not in the table.
		return counter
	}
	service, name, _ := method.Split(kind.method)
	counter := r.vector.WithLabelValues(legible(kind.client), service, name, legible(kind.site),
		kind.version, kind.code.String(), legible(kind.deadline), word(called.Operation),
		word(called.Scope))
	if len(known) < requestSeriesMax {
		more := maps.Clone(known)
		more[kind] = counter
		r.known.Store(&more)
	}
	return counter
}

// legible makes a label of any bytes: the library panics at what is no UTF-8.
func legible(text string) string { return strings.ToValidUTF8(text, "?") }

// word is what a class is called, if it has a name.
func word(class fmt.Stringer) string {
	switch name := class.String(); name {
	case "", "-":
		return unknown
	default:
		return name
	}
}

func clientName(incoming metadata.MD) string {
	if name := first(incoming, "x-gitlab-client-name"); name != unknown {
		return name
	}
	return first(incoming, "client_name")
}

// authVersion is the version of the token that a client presents, whether or not it is valid.
func authVersion(incoming metadata.MD) string {
	if values := incoming["authorization"]; len(values) > 0 {
		if token, ok := strings.CutPrefix(values[0], "Bearer "); ok &&
			strings.HasPrefix(token, "v2.") {
			return "v2"
		}
	}
	return unknown
}

func first(incoming metadata.MD, key string) string {
	if values := incoming[key]; len(values) > 0 && values[0] != "" {
		return values[0]
	}
	return unknown
}
