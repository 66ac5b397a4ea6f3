package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/cmd/internal/logging"
)

func lines(t *testing.T, config logging.Config) string {
	t.Helper()

	var out bytes.Buffer
	log, err := logging.New(&out, config)
	require.NoError(t, err)

	log.Debug("not written at level info")
	log = log.Named("repair").With(zap.String("storage", "gitaly-1"))
	log.Warn("copy is late", zap.Duration("after", time.Minute), zap.Error(errors.New("no \"go\"")))
	log.Info("plain")
	require.NoError(t, log.Sync())

	return out.String()
}

func TestText(t *testing.T) {
	t.Parallel()

	got := lines(t, logging.Config{Format: "text", Level: "info"})
	got = regexp.MustCompile(`pid=\d+`).ReplaceAllString(got, "pid=1")
	got = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`).ReplaceAllString(got, "T")
	require.Equal(t, `time="T" level=warning msg="copy is late" after=1m0s component=repair`+
		` error="no \"go\"" pid=1 storage=gitaly-1`+"\n"+
		`time="T" level=info msg=plain component=repair pid=1 storage=gitaly-1`+"\n", got)
}

func TestJSON(t *testing.T) {
	t.Parallel()

	got := lines(t, logging.Config{Format: "json", Level: "warning"})
	var entry map[string]any
	require.NoError(t, json.Unmarshal([]byte(got), &entry), "one line")

	written, err := time.Parse("2006-01-02T15:04:05.000Z", entry["time"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), written, time.Minute)
	delete(entry, "time")
	require.Equal(t, map[string]any{
		"level": "warning", "msg": "copy is late", "component": "repair", "storage": "gitaly-1",
		"after": "1m0s", "error": "no \"go\"", "pid": float64(os.Getpid()),
	}, entry)
}

// TestTimeIsUTC writes what the Z at the end of times promises, wherever the machine is.
func TestTimeIsUTC(t *testing.T) {
	t.Parallel()

	when := time.Date(2026, 3, 4, 1, 0, 0, 0, time.FixedZone("east", 3600))
	for format, want := range map[string]string{
		"json": `"at":"2026-03-04T00:00:00.000Z"`, "text": `at=2026-03-04T00:00:00.000Z`,
	} {
		var out bytes.Buffer
		log, err := logging.New(&out, logging.Config{Format: format, Level: "info"})
		require.NoError(t, err)
		log.Info("event", zap.Time("at", when), zap.Time("bare", when.UTC()))
		require.NoError(t, log.Sync())
		require.Contains(t, out.String(), want, format)
		require.Regexp(t, `bare"?[:=]"?2026-03-04T00:00:00.000[" ]`, out.String(), format)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()

	_, err := logging.New(&bytes.Buffer{}, logging.Config{Format: "xml", Level: "loud"})
	require.ErrorContains(t, err, `invalid logger format "xml"`)
	require.ErrorContains(t, err, `not a valid log level: "loud"`)

	for _, level := range []string{
		"trace", "debug", "info", "INFO", "warn", "Warning", "error", "fatal", "panic",
	} {
		require.NoError(t, logging.Config{Format: "text", Level: level}.Validate())
	}
}
