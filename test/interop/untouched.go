package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// untouched is the case after all that break nothing: no replica was repaired, none is outdated,
// and no transaction is left.
func untouched() trial {
	return trial{name: "cluster/nobody-was-outdated", run: func(t *take) {
		metrics := t.metrics()
		for _, name := range []string{
			"gitaly_praefect_repairs_total", "gitaly_praefect_transactions_live",
			"gitaly_praefect_turns_left_open", "gitaly_praefect_draining_calls",
		} {
			sum := 0.0
			for series, value := range metrics {
				if series == name || strings.HasPrefix(series, name+"{") {
					sum += value
				}
			}
			require.Zero(t, sum, name)
		}
	}}
}

// metrics reads what the proxy counts.
func (t *take) metrics() map[string]float64 {
	request, err := http.NewRequestWithContext(t.context, http.MethodGet,
		t.stage.Proxy().Metrics, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, string(content))

	found := map[string]float64{}
	for line := range strings.Lines(string(content)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if number, err := strconv.ParseFloat(value, 64); ok && err == nil && series != "#" {
			found[series] = number
		}
	}

	return found
}
