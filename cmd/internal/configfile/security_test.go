package configfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/certificate/authority"
)

// issued makes an authority, a certificate of it, and its key.
func issued(t *testing.T) authority.Files {
	t.Helper()
	files, err := authority.NewFiles(t.TempDir(), "localhost")
	require.NoError(t, err)

	return files
}

// files are what one of the tables names.
type files struct{ certificate, key, authority, inline string }

func (f files) text(table, authorities string) string {
	text := fmt.Sprintf("[%s]\ncertificate_path = %q\nkey_path = %q\n%s = %q\n",
		table, f.certificate, f.key, authorities, f.authority)
	if f.inline != "" {
		text += fmt.Sprintf("key = %q\n", f.inline)
	}

	return text
}

// TestValidateCertificates looks into the files of both tables. What is found is told, and keeps no
// command from running.
func TestValidateCertificates(t *testing.T) {
	t.Parallel()
	good, other := issued(t), issued(t)
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	require.NoError(t, os.WriteFile(garbage, []byte("no PEM"), 0o600))
	key, err := os.ReadFile(good.Key)
	require.NoError(t, err)

	const mismatch = "load certificate key pair: tls: private key does not match public key"
	const none = "no certificate in PEM format: "
	for name, tc := range map[string]struct {
		files
		want string
	}{
		"good":             {files{good.Certificate, good.Key, good.Authority, ""}, ""},
		"good, key inline": {files{good.Certificate, "", "", string(key)}, ""},
		"mismatch": {
			files{good.Certificate, other.Key, "", ""}, "TABLE.key_path: " + mismatch,
		},
		"mismatch, key inline": {
			files{other.Certificate, "", "", string(key)}, "TABLE.key: " + mismatch,
		},
		"certificate is none": {
			files{garbage, good.Key, "", ""}, "TABLE.certificate_path: " + none + garbage,
		},
		"certificate is a key": {
			files{good.Key, good.Key, "", ""}, "TABLE.certificate_path: " + none + good.Key,
		},
		"key is none": {
			files{good.Certificate, garbage, "", ""}, "TABLE.key_path: load certificate key " +
				"pair: tls: failed to find any PEM data in key input",
		},
		"authorities are none": {
			files{good.Certificate, good.Key, garbage, ""}, "TABLE.AUTHORITIES: " + none + garbage,
		},
		"key is not there": {
			files{good.Certificate, "/none", "", ""}, "TABLE.key_path: doesn't exist: /none",
		},
	} {
		for table, authorities := range map[string]string{
			"tls": "client_ca_path", "node_tls": "ca_path",
		} {
			if table == "node_tls" && tc.inline != "" {
				continue // There is no such key.
			}
			text := tc.text(table, authorities)
			if table == "node_tls" {
				text += files{good.Certificate, good.Key, "", ""}.text("tls", "client_ca_path")
			}
			names := strings.NewReplacer("TABLE", table, "AUTHORITIES", authorities)
			require.Equal(t, names.Replace(tc.want), found(t, text), "%s: %s", table, name)
		}
	}
}

// found returns what is said about a file, without quotes. Nothing of it is an error.
func found(t *testing.T, text string) string {
	t.Helper()
	loaded, err := configfile.Load(write(t, "tls_listen_addr = 'x:2'\n"+text+storages))
	require.NoError(t, err)
	require.NoError(t, loaded.Validate())
	var said []string
	for _, finding := range loaded.Findings() {
		said = append(said, strings.ReplaceAll(finding.String(), `"`, ""))
	}

	return strings.Join(said, "\n")
}

// storages make a file complete.
const storages = `
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "a"
address = "tcp://h:1"
`
