package acceptance_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// TestSentry reports the failure of a call where the configuration says, at the latest when the
// process ends, and nothing in it is secret.
func TestSentry(t *testing.T) {
	t.Parallel()
	reported := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, report, _ := strings.Cut(string(body), "\n") // The first line names the receiver.
			reported <- report
		}))
	defer receiver.Close()
	dsn := strings.Replace(receiver.URL, "://", "://key-of-sentry@", 1) + "/1"
	c := start(t, cluster.Config{
		Token: "token-of-clients",
		Extra: fmt.Sprintf("[sentry]\nsentry_dsn = %q\nsentry_environment = \"staging\"", dsn),
	})
	proxy := c.Proxies()[0]
	push, err := gitalypb.NewSmartHTTPServiceClient(dialled(t, c, proxy.Address)).PostReceivePack(
		metadata.AppendToOutgoingContext(t.Context(), "x-gitlab-correlation-id", "id-of-a-push"))
	require.NoError(t, err)
	require.NoError(t, push.CloseSend(), "without a message")
	_, err = push.Recv()
	require.Equal(t, codes.Internal, status.Code(err))
	require.NoError(t, proxy.Process().Terminate(t.Context()))

	require.Len(t, reported, 1)
	report := <-reported
	for _, part := range []string{
		`"environment":"staging"`, `"grpc.code":"Internal"`, `"correlation_id":"id-of-a-push"`,
		"/gitaly.SmartHTTPService/PostReceivePack",
	} {
		require.Contains(t, report, part)
	}
	for _, secret := range []string{"token-of-clients", "key-of-sentry"} {
		require.NotContains(t, report, secret)
	}
}

// TestT196LogsAreJSON reads each line of a proxy from its start to its end, and finds the call of a
// client by the id that came with it.
//
// Requirements: T196
func TestT196LogsAreJSON(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	proxy := c.Proxies()[0]
	conn := dialled(t, c, proxy.Address)
	repository := create(t, conn, "r.git")
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"x-gitlab-correlation-id", "id-of-a-request", "x-gitlab-client-name", "gitlab-web")
	require.NoError(t, write(ctx, conn, repository, "main"))
	require.NoError(t, proxy.Process().Terminate(t.Context()))

	content, err := os.ReadFile(filepath.Join(c.Dir(), "log", proxy.Name+".log"))
	require.NoError(t, err)
	var messages []string
	var call map[string]any
	for line := range strings.Lines(string(content)) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), "%s", line)
		for _, key := range []string{"level", "msg", "time", "pid"} {
			require.Contains(t, entry, key, "%s", line)
		}
		messages = append(messages, entry["msg"].(string))
		if entry["correlation_id"] == "id-of-a-request" {
			require.Nil(t, call, "one line a call")
			call = entry
		}
	}
	require.Equal(t, "Starting Praefect", messages[0])
	require.Equal(t, "Praefect shutdown", messages[len(messages)-1])
	for key, want := range map[string]any{
		"level": "info", "msg": "finished streaming call with code OK",
		"component": "praefect.StreamServerInterceptor", "system": "grpc", "span.kind": "server",
		"grpc.service": "gitaly.RepositoryService", "grpc.method": "WriteRef", "grpc.code": "OK",
		"grpc.meta.client_name": "gitlab-web", "grpc.meta.auth_version": "v2",
		"grpc.meta.method_operation": "mutator", "outcome": "recorded",
		"relative_path": "r.git",
	} {
		assert.Equal(t, want, call[key], key)
	}
}

// TestT157IntervalOfVerification tells the interval that is in use.
func TestT157IntervalOfVerification(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{
		Storages: []string{"gitaly-1"},
		Extra:    "[background_verification]\nverification_interval = \"72h\"\n",
	})
	require.Contains(t, proxyLog(t, c, c.Proxy()), `"msg":"background verifier started"`)
	require.Contains(t, proxyLog(t, c, c.Proxy()), `"verification_interval":"72h0m0s"`)
}
