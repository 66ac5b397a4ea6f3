package configfile

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"praefect/proxy/certificate"
)

// Values of min_version.
const (
	tls12 = "TLS 1.2"
	tls13 = "TLS 1.3"
)

// validateTLS reports what clients behind tls_listen_addr would suffer from. That files can be read
// matters to the server alone, which says so itself when it cannot: a command may well run as
// somebody else. What can be read is looked at, but keeps nobody from starting, as commands can do
// without; the server fails at it.
func (f *File) validateTLS(found *findings) {
	t := f.TLS
	if t.MinVersion != tls12 && t.MinVersion != tls13 {
		found.addf("tls.min_version", "unsupported TLS version: %q: it is %q or %q",
			t.MinVersion, tls12, tls13)
	}
	if t.KeyPath != "" && t.Key != "" {
		found.addf("tls.key_path", "key_path and key cannot both be set")
	}
	if f.TLSListenAddr != "" {
		t.validateServed(found)
	}
}

// validateServed reports what is missing where clients do connect with TLS.
func (t *TLS) validateServed(found *findings) {
	if t.CertificatePath == "" {
		found.tolerate("tls.certificate_path", blank)
	}
	if t.KeyPath == "" && t.Key == "" {
		found.tolerate("tls.key_path", blank)
	}
	found.file("tls.certificate_path", t.CertificatePath)
	found.file("tls.key_path", t.KeyPath)
	found.file("tls.client_ca_path", t.ClientCAPath)
	found.pair("tls", t.Security())
	found.authorities("tls.client_ca_path", t.ClientCAPath)
	if t.ClientOptional && t.ClientCAPath == "" {
		found.addf("tls.client_ca_path", "not set: client_certificate_optional needs it")
	}
}

func (n *NodeTLS) validate(found *findings) {
	if (n.CertificatePath == "") != (n.KeyPath == "") {
		found.addf("node_tls.certificate_path",
			"certificate_path and key_path belong together: only one of them is set")
	}
	found.file("node_tls.ca_path", n.CAPath)
	found.file("node_tls.certificate_path", n.CertificatePath)
	found.file("node_tls.key_path", n.KeyPath)
	found.pair("node_tls", n.Security())
	found.authorities("node_tls.ca_path", n.CAPath)
}

// pair reports a certificate and a key that cannot be used, or not together. What cannot be read
// here is left to the server.
func (f *findings) pair(table string, security certificate.Config) {
	if !f.authorities(table+".certificate_path", security.CertificatePath) {
		return
	}
	key := table + ".key"
	if len(security.Key) == 0 {
		key += "_path"
		if _, err := os.ReadFile(security.KeyPath); err != nil {
			return
		}
	}
	security.AuthorityPath = ""
	if _, err := security.Pair(); err != nil {
		f.tolerate(key, "%s", err)
	}
}

// authorities reports a file that has no certificate, and says whether there is one.
func (f *findings) authorities(key, path string) bool {
	content, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	found := x509.NewCertPool().AppendCertsFromPEM(content)
	if !found {
		f.tolerate(key, "no certificate in PEM format: %q", path)
	}

	return found
}

// file reports a path that leads to no file.
func (f *findings) file(key, path string) {
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.tolerate(key, "doesn't exist: %q", path)
	case err != nil:
		f.tolerate(key, "%s", err)
	case !info.Mode().IsRegular():
		f.tolerate(key, "not a file: %q", path)
	}
}

// tokenFileMode reports a token file that others can read.
func (a *Auth) tokenFileMode() error {
	info, err := os.Stat(a.TokenFile)
	if err != nil {
		return fmt.Errorf("stat token file: %w", err)
	}

	mode := info.Mode().Perm()
	if mode != 0o600 && mode != 0o400 {
		return fmt.Errorf("file permission %#o is too permissive, should be 0600 or 0400", mode)
	}

	return nil
}
