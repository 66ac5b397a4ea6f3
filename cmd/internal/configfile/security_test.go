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
	signer, err := authority.New("authority")
	require.NoError(t, err)
	files, err := signer.Write(t.TempDir(), "localhost")
	require.NoError(t, err)

	return files
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
	for name, tc := range map[string]struct{ certificate, key, authority, inline, want string }{
		"good":             {good.Certificate, good.Key, good.Authority, "", ""},
		"good, key inline": {good.Certificate, "", "", string(key), ""},
		"mismatch": {
			good.Certificate, other.Key, "", "", "TABLE.key_path: " + mismatch,
		},
		"mismatch, key inline": {
			other.Certificate, "", "", string(key), "TABLE.key: " + mismatch,
		},
		"certificate is none": {
			garbage, good.Key, "", "",
			`TABLE.certificate_path: no certificate in PEM format: "` + garbage + `"`,
		},
		"certificate is a key": {
			good.Key, good.Key, "", "",
			`TABLE.certificate_path: no certificate in PEM format: "` + good.Key + `"`,
		},
		"key is none": {
			good.Certificate, garbage, "", "", "TABLE.key_path: load certificate key pair: " +
				"tls: failed to find any PEM data in key input",
		},
		"authorities are none": {
			good.Certificate, good.Key, garbage, "",
			`TABLE.AUTHORITIES: no certificate in PEM format: "` + garbage + `"`,
		},
		"key cannot be read": {
			good.Certificate, "/none", "", "", `TABLE.key_path: doesn't exist: "/none"`,
		},
	} {
		for table, authorities := range map[string]string{
			"tls": "client_ca_path", "node_tls": "ca_path",
		} {
			if table == "node_tls" && tc.inline != "" {
				continue // There is no such key.
			}
			text := fmt.Sprintf("listen_addr = 'x:1'\ntls_listen_addr = 'x:2'\n[%s]\n"+
				"certificate_path = %q\nkey_path = %q\n%s = %q\n", table, tc.certificate, tc.key,
				authorities, tc.authority)
			if tc.inline != "" {
				text += fmt.Sprintf("key = %q\n", tc.inline)
			}
			if table == "node_tls" {
				text += fmt.Sprintf("[tls]\ncertificate_path = %q\nkey_path = %q\n",
					good.Certificate, good.Key)
			}
			loaded, err := configfile.Load(write(t, text+storages))
			require.NoError(t, err)
			require.NoError(t, loaded.Validate())
			var said []string
			for _, finding := range loaded.Findings() {
				said = append(said, finding.String())
			}
			var want []string
			if tc.want != "" {
				names := strings.NewReplacer("TABLE", table, "AUTHORITIES", authorities)
				want = []string{names.Replace(tc.want)}
			}
			require.Equal(t, want, said, "%s: %s", table, name)
		}
	}
}

// storages make a file complete.
const storages = `
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "a"
address = "tcp://h:1"
`
