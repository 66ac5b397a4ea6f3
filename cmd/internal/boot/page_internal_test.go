package boot

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/cmd/internal/configfile"
	"praefect/test/pgtest"
)

// row is what docs/metrics.md says of a metric.
type row struct{ kind, labels string }

// page reads the tables of the page.
func page(t *testing.T) map[string]row {
	t.Helper()
	content, err := os.ReadFile("../../../docs/metrics.md")
	require.NoError(t, err)
	rows := map[string]row{}
	line := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\| (.*?) \\| (.+) \\|$")
	for _, found := range line.FindAllStringSubmatch(string(content), -1) {
		require.NotContains(t, rows, found[1], "named twice")
		rows[found[1]] = row{kind: found[2], labels: strings.ReplaceAll(found[3], "`", "")}
	}

	return rows
}

// described lists the metrics of a registry, whether or not there is anything to show of them yet,
// with their labels.
func described(t *testing.T, registry *prometheus.Registry) map[string]string {
	t.Helper()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	parts := regexp.MustCompile(
		`^Desc\{fqName: ("[^"]*"), help: .*, constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	found := map[string]string{}
	for description := range descriptions {
		read := parts.FindStringSubmatch(description.String())
		require.NotNil(t, read, "%s", description)
		name, err := strconv.Unquote(read[1])
		require.NoError(t, err)
		if standard(name) {
			continue
		}
		var labels []string
		for label := range strings.SplitSeq(read[2]+","+read[3], ",") {
			if label, _, _ = strings.Cut(label, "="); label != "" {
				labels = append(labels, label)
			}
		}
		slices.Sort(labels)
		found[name] = cmp.Or(strings.Join(labels, ", "), "-")
	}

	return found
}

// standard metrics are those of every Go program.
func standard(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") ||
		strings.HasPrefix(name, "promhttp_")
}

// started is a server without nodes.
func started(t *testing.T) *server {
	t.Helper()

	return startedWith(t, "")
}

// startedWith is one that more tables configure.
func startedWith(t *testing.T, tables string) *server {
	t.Helper()
	database := pgtest.Migrated(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `
socket_path = %q
[sentry]
sentry_dsn = "http://key@127.0.0.1:1/1"
[tracing]
endpoint = "http://127.0.0.1:1"
[database]
host = %q
port = %s
user = %q
password = %q
dbname = %q
%s
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "unix:/nonexistent/gitaly.socket"
`, filepath.Join(dir, "s"), database.Host, database.Port, database.User, database.Password,
		database.DBName, tables), 0o600))
	loaded, err := configfile.Load(path)
	require.NoError(t, err)
	s := newServer(t.Context(), zap.NewNop(), Options{Config: &loaded.File, Version: "v1"})
	require.NoError(t, s.start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.end(t.Context())) })

	return s
}

// TestAlertsSeeTheFirst asserts that the counters of which one increase is an alert are there from
// the start: Prometheus sees no increase in a series that begins with 1.
func TestAlertsSeeTheFirst(t *testing.T) {
	t.Parallel()
	s := started(t)
	for name, series := range map[string]int{
		"gitaly_praefect_verification_mismatches_total": 1, // A virtual storage.
		"gitaly_praefect_writes_total":                  6, // Kinds of writes, unknown.
		"gitaly_praefect_panics_total":                  1,
	} {
		count, err := testutil.GatherAndCount(s.metrics, name)
		require.NoError(t, err)
		require.Equal(t, series, count, name)
	}
}

// TestMetricsPage compares docs/metrics.md with what a server has: each metric, its labels and its
// type.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	rows := page(t)
	s := started(t)
	have := map[string]string{}
	for _, registry := range []*prometheus.Registry{s.metrics, s.databaseMetrics} {
		for name, labels := range described(t, registry) {
			have[name] = labels
			if assert.Contains(t, rows, name, "not in docs/metrics.md") {
				assert.Equal(t, labels, rows[name].labels, name)
			}
		}
		kinds := kindsOf(t, registry)
		for name := range described(t, registry) {
			if !untold(name) {
				assert.Equal(t, rows[name].kind, kinds[name], name)
			}
		}
	}
	for name := range rows {
		if name != "gitaly_praefect_certificate_expiry_timestamp_seconds" { // With TLS only.
			assert.Contains(t, have, name, "only in docs/metrics.md")
		}
	}
}

// TestBucketsOfClaims asserts that the configured buckets reach what measures claims, with the rest
// of what [configfile.File.Repair] says.
func TestBucketsOfClaims(t *testing.T) {
	t.Parallel()
	s := startedWith(t, "[reconciliation]\nhistogram_buckets = [0.25, 4]\n")
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	var bounds []float64
	for _, family := range families {
		if family.GetName() == "gitaly_praefect_reconciliation_scheduling_seconds" {
			for _, bucket := range family.GetMetric()[0].GetHistogram().GetBucket() {
				bounds = append(bounds, bucket.GetUpperBound())
			}
		}
	}
	require.Equal(t, []float64{0.25, 4}, bounds)
}

// untold metrics come from collectors that make each series when it is asked for, or are not ours.
func untold(name string) bool {
	return strings.HasPrefix(name, "grpc_server_") ||
		name == "gitaly_praefect_replication_queue_depth"
}

// kindsOf returns the types of the metrics of a registry, also of vectors that have no series yet:
// those cannot be gathered, and their descriptions do not tell.
func kindsOf(t *testing.T, registry *prometheus.Registry) map[string]string {
	t.Helper()
	kinds := map[string]string{}
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		kinds[family.GetName()] = kindOf(family.GetType())
	}
	field := reflect.ValueOf(registry).Elem().FieldByName("collectorsByID")
	collectors := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
	for _, id := range collectors.MapKeys() {
		collector, ok := reflect.TypeAssert[prometheus.Collector](collectors.MapIndex(id))
		require.True(t, ok)
		var kind string
		switch collector.(type) {
		case *prometheus.CounterVec:
			kind = "counter"
		case *prometheus.GaugeVec:
			kind = "gauge"
		case *prometheus.HistogramVec:
			kind = "histogram"
		default:
			continue
		}
		alone := prometheus.NewRegistry()
		require.NoError(t, alone.Register(collector))
		for name := range described(t, alone) {
			kinds[name] = kind
		}
	}

	return kinds
}

func kindOf(kind dto.MetricType) string { return strings.ToLower(kind.String()) }
