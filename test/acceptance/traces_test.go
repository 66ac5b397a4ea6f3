package acceptance_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"praefect/test/cluster"
)

// spans are what a receiver of OTLP was sent.
type spans struct {
	mu  sync.Mutex // guards all
	all []*wire.Span
}

// ServeHTTP receives traces.
func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request wire.TracesData
	if err := proto.Unmarshal(body, &request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range request.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			s.all = append(s.all, scope.GetSpans()...)
		}
	}
}

// tree describes what is below a span: a line each, indented, alike ones with their number.
func (s *spans) tree(parent, indent string) string {
	lines := map[string]int{}
	for _, span := range s.all {
		if hex.EncodeToString(span.GetParentSpanId()) == parent {
			lines[indent+span.GetName()+"\n"+
				s.tree(hex.EncodeToString(span.GetSpanId()), indent+"  ")]++
		}
	}
	var text []string
	for line, count := range lines {
		text = append(text, strings.Replace(line, "\n", fmt.Sprintf(" x%d\n", count), 1))
	}
	slices.Sort(text)
	return strings.Join(text, "")
}

// TestTraces finds a write in the trace of its client: the call, the nodes, the votes of each.
func TestTraces(t *testing.T) {
	t.Parallel()
	received := &spans{}
	receiver := httptest.NewServer(received)
	defer receiver.Close()
	c := start(t, cluster.Config{
		Extra: fmt.Sprintf("[tracing]\nendpoint = %q\nsample_ratio = 0", receiver.URL),
	})
	proxy := c.Proxies()[0]
	conn := dialled(t, c, proxy.Address)
	repository := create(t, conn, "r.git")
	const trace, client = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"traceparent", "00-"+trace+"-"+client+"-01")
	require.NoError(t, write(ctx, conn, repository, "main"))
	require.NoError(t, proxy.Process().Terminate(t.Context()))

	received.mu.Lock()
	defer received.mu.Unlock()
	for _, span := range received.all {
		require.Equal(t, trace, hex.EncodeToString(span.GetTraceId()), "nothing else is kept")
	}
	require.Equal(t, `gitaly.RepositoryService/WriteRef x1
  finish x1
  gitaly.RepositoryService/WriteRef x3
    vote committed x1
    vote prepared x1
  record x1
  route x1
`, received.tree(client, ""))
	require.Contains(t, proxyLog(t, c, proxy), `"trace_id":"`+trace+`"`)
}
