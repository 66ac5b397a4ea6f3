// Package authority makes certificates for tests and demonstrations: an authority of its own, and
// what it signs. Keys are made anew each time and worth nothing elsewhere.
//
// Everything is safe for concurrent use.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// life is how long certificates are valid, in both directions of now.
const life = 24 * time.Hour

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// New makes an authority.
func New(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	template := newTemplate(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// NewFiles makes an authority for one certificate, and writes both and the key into a directory.
func NewFiles(directory string, hosts ...string) (Files, error) {
	signer, err := New("authority")
	if err != nil {
		return Files{}, err
	}
	return signer.Write(directory, hosts...)
}

func newTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-life),
		NotAfter:     time.Now().Add(life),
	}
}

// Pool returns the authority as somebody who is trusted.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// PEM returns the authority's own certificate.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.certificate.Raw) }

// Issue signs a certificate for servers and clients under the given host names and addresses, and
// returns it and its key.
func (a *Authority) Issue(hosts ...string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	template := newTemplate("leaf")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{
		x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if len(hosts) > 0 {
		template.Subject.CommonName = hosts[0]
	}
	der, err := x509.CreateCertificate(
		rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", encoded), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Files are the names of PEM files.
type Files struct{ Certificate, Key, Authority string }

// Write issues a certificate and writes it, its key and the authority's certificate into a
// directory, as cert.pem, key.pem and ca.pem.
func (a *Authority) Write(directory string, hosts ...string) (Files, error) {
	certificate, key, err := a.Issue(hosts...)
	if err != nil {
		return Files{}, err
	}
	files := Files{
		Certificate: filepath.Join(directory, "cert.pem"),
		Key:         filepath.Join(directory, "key.pem"),
		Authority:   filepath.Join(directory, "ca.pem"),
	}
	return files, errors.Join(
		os.WriteFile(files.Certificate, certificate, 0o600),
		os.WriteFile(files.Key, key, 0o600),
		os.WriteFile(files.Authority, a.PEM(), 0o600),
	)
}
