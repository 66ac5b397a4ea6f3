package acceptance_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// scrape returns what Prometheus would get from a proxy.
func scrape(t require.TestingT, url string) string {
	response, err := http.Get(url) //nolint:gosec // An address of the test's own.
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // It was read.
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)

	return string(body)
}

// databaseMetrics is where the proxy shows what it has counted in the database.
func databaseMetrics(proxy *cluster.Proxy) string {
	return strings.TrimSuffix(proxy.Metrics, "/metrics") + "/db_metrics"
}

// TestT065Metrics scrapes each of three proxies that share a database, at the address that the
// configuration names: one says its version, all count what went through them.
//
// Requirements: T064, T065, T134, T135, T136
func TestT065Metrics(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Proxies: 3})
	for i, proxy := range c.Proxies() {
		conn := dialled(t, c, proxy.Address)
		repository := create(t, conn, fmt.Sprintf("r%d.git", i))
		require.NoError(t, write(t.Context(), conn, repository, "main"))
		require.NoError(t, exists(t.Context(), conn, repository))
	}
	for _, proxy := range c.Proxies() {
		text := scrape(t, proxy.Metrics)
		require.Regexp(t, `(?m)^gitlab_build_info\{version=".+"\} 1$`, text)
		for _, line := range []string{
			`gitaly_praefect_connections_total{type="tcp"}`,
			`gitaly_praefect_method_types{method_type="mutator"} 2`,
			`gitaly_praefect_transactions_total{action="committed"}`,
			`gitaly_praefect_writes_total{kind="creation",outcome="recorded",`,
			`gitaly_praefect_repo_reference_write_lock_acquired_total{` +
				`result="new_acquisition",virtual_storage="default"} 1`,
			`gitaly_authentications_total{enforced="true",status="ok"}`,
			`grpc_server_handled_total{grpc_code="OK",grpc_method="WriteRef",` +
				`grpc_service="gitaly.RepositoryService",grpc_type="bidi_stream"} 1`,
			`grpc_client_handled_total{grpc_code="OK",grpc_method="WriteRef",` +
				`grpc_service="gitaly.RepositoryService",grpc_type="bidi_stream"} 3`,
			`gitaly_service_client_requests_total{auth_version="v2",`,
			`gitaly_praefect_evidence_total{evidence="confirmed"}`,
			`gitaly_praefect_notifications_reconnects_total{state="connected"} 1`,
			`gitaly_backchannel_yamux_read_size_bytes_count`,
			"go_goroutines", "process_cpu_seconds_total", "promhttp_metric_handler_requests_total",
		} {
			require.Contains(t, text, line)
		}
	}
}

// TestT066DatabaseMetrics counts in the database on a page of its own: a node that is down leaves
// its replicas to repair.
//
// Requirements: T066, T067
func TestT066DatabaseMetrics(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{
		Head: "prometheus_exclude_database_from_default_metrics = true",
	})
	proxy := c.Proxies()[0]
	conn := dialled(t, c, proxy.Address)
	repository := create(t, conn, "r.git")
	require.NoError(t, c.Nodes()[2].Kill())
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.NoError(collect, write(t.Context(), conn, repository, "main"))
		text := scrape(collect, databaseMetrics(proxy))
		for _, line := range []string{
			`gitaly_praefect_unavailable_repositories{virtual_storage="default"} 0`,
			`,target_node="gitaly-3",virtual_storage="default"} 1`,
			`gitaly_praefect_verification_queue_depth{status="expired",storage="gitaly-1",`,
			`gitaly_praefect_open_turns{state="left"} 0`,
			`gitaly_praefect_live_proxies 1`,
		} {
			require.Contains(collect, text, line)
		}
	}, wait, tick)
	require.NotContains(t, scrape(t, proxy.Metrics), "gitaly_praefect_unavailable_repositories")
}

// TestT067DatabaseMetricsOnOnePage shows them on both pages where that was asked for.
func TestT067DatabaseMetricsOnOnePage(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{
		Head: "prometheus_exclude_database_from_default_metrics = false",
	})
	proxy := c.Proxies()[0]
	for _, page := range []string{proxy.Metrics, databaseMetrics(proxy)} {
		require.Contains(t, scrape(t, page), "gitaly_praefect_unavailable_repositories")
	}
}

// TestT080MetricsMove serves metrics on the port that operators know, and after a restart on the
// one that the configuration then names. Without one nothing listens, also not on that port.
//
// Requirements: T014, T080, T124
func TestT080MetricsMove(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	proxy := c.Proxies()[0]
	before := proxy.Metrics
	require.Contains(t, scrape(t, before), "gitlab_build_info")

	const known = "127.0.0.1:9652"
	restart := func(line string) {
		content, err := os.ReadFile(proxy.ConfigFile)
		require.NoError(t, err)
		changed := regexp.MustCompile(`(?m)^prometheus_listen_addr.*$`).
			ReplaceAllLiteral(content, []byte(line))
		require.NoError(t, os.WriteFile(proxy.ConfigFile, changed, 0o600))
		require.NoError(t, proxy.Process().Terminate(t.Context()))
		require.NoError(t, proxy.Start(t.Context()))
	}
	closed := func(url string) {
		address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
		_, err := net.Dial("tcp", address)
		require.Error(t, err)
	}
	restart(fmt.Sprintf("prometheus_listen_addr = %q", known))
	require.Contains(t, scrape(t, "http://"+known+"/metrics"), "gitlab_build_info")
	closed(before)
	restart("# prometheus_listen_addr")
	closed("http://" + known + "/metrics")
}

// TestMetricsAreWellFormed lets Prometheus' own tool read both pages. What it does not like about
// names is bearable only where dashboards know them.
//
// Requirements: T065, T066
func TestMetricsAreWellFormed(t *testing.T) {
	t.Parallel()
	promtool := installed(t, "promtool", "prometheus")
	c := start(t, cluster.Config{})
	proxy := c.Proxies()[0]
	conn := dialled(t, c, proxy.Address)
	repository := create(t, conn, "r.git")
	require.NoError(t, write(t.Context(), conn, repository, "main"))
	require.NoError(t, exists(t.Context(), conn, repository))

	known := []string{
		"gitaly_praefect_method_types", "gitaly_praefect_read_distribution",
		"gitaly_praefect_subtransactions_per_transaction_total",
		"gitaly_praefect_voters_per_transaction_total",
	}
	for _, page := range []string{proxy.Metrics, databaseMetrics(proxy)} {
		command := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		command.Stdin = strings.NewReader(scrape(t, page))
		output, err := command.CombinedOutput()
		found := false
		for line := range strings.Lines(string(output)) {
			name, _, _ := strings.Cut(line, " ")
			require.True(t, slices.Contains(known, name), "%s", line)
			found = true
		}
		require.Equal(t, found, err != nil, "%v: %s", err, output)
	}
}

// TestAlerts lets Prometheus' own tool check the rules for alerts, and play metrics to them. Every
// metric that they name is documented, which another test compares with what there is.
//
// Requirements: T135
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool := installed(t, "promtool", "prometheus")
	for _, args := range [][]string{
		{"check", "rules", "../../docs/alerts.yml"},
		{"test", "rules", "testdata/alerts.yml"},
	} {
		output, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	rules, err := os.ReadFile("../../docs/alerts.yml")
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	names := regexp.MustCompile(`gitaly_[a-z_]+`).FindAllString(string(rules), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		if name != "gitaly_storage" { // A label.
			require.Contains(t, string(page), "\n| `"+name+"` |")
		}
	}
}
