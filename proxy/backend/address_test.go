package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/backend"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]backend.Address{
		"tcp://gitaly-1.internal:8075": {Target: "passthrough:///gitaly-1.internal:8075"},
		"tcp://[::1]:8075":             {Target: "passthrough:///[::1]:8075"},
		"tls://gitaly-1:9999":          {Target: "passthrough:///gitaly-1:9999", TLS: true},
		"unix:/run/gitaly.socket":      {Target: "unix:/run/gitaly.socket", Unix: true},
		"unix:///run/gitaly.socket":    {Target: "unix:/run/gitaly.socket", Unix: true},
		"unix:gitaly.socket":           {Target: "unix:gitaly.socket", Unix: true},
		"dns:gitaly":                   {Target: "dns:gitaly"},
		"dns:///gitaly:8075":           {Target: "dns:///gitaly:8075"},
		"dns://8.8.8.8/gitaly:8075":    {Target: "dns://8.8.8.8/gitaly:8075"},
		"dns+tls:gitaly:8075":          {Target: "dns:gitaly:8075", TLS: true},
		"dns+tls:///gitaly:8075":       {Target: "dns:///gitaly:8075", TLS: true},
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			got, err := backend.ParseAddress(raw)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                    `invalid connection string: ""`,
		"gitaly:8075":         `invalid connection string: "gitaly:8075"`,
		"127.0.0.1:8075":      `invalid connection string: "127.0.0.1:8075"`,
		"http://gitaly":       `invalid connection string: "http://gitaly"`,
		"unix:":               `invalid connection string: "unix:"`,
		"unix://":             `invalid connection string: "unix://"`,
		"unix://host/path":    `invalid connection string: "unix://host/path"`,
		"dns:":                `invalid connection string: "dns:"`,
		"dns:///":             `invalid connection string: "dns:///"`,
		"dns://8.8.8.8":       `invalid connection string: "dns://8.8.8.8"`,
		"tcp://gitaly:8075/x": `remote addresses should not have a path: "/x"`,
		"tls://gitaly:8075/":  `remote addresses should not have a path: "/"`,
		"tcp://":              `remote addresses should have a host`,
		"tcp://:8075":         `remote addresses should have a host`,
		"tcp:gitaly:8075":     `remote addresses should have a host`,
		"tls://gitaly":        `remote addresses should have a port`,
		"tcp://gitaly:eight": `invalid connection string: ` +
			`parse "tcp://gitaly:eight": invalid port ":eight" after host`,
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			_, err := backend.ParseAddress(raw)
			require.EqualError(t, err, want)
		})
	}
}
