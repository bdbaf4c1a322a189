package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority signs certificates that handsets with its env trust, and nobody else.
type authority struct {
	b    *bench
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

// authority makes a new one, which is valid at all times that a clock may say.
func (b *bench) authority(name string) (*authority, error) {
	a := &authority{b: b, name: name}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	a.cert = template
	der, err := a.sign(template, &a.key.PublicKey)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, writePEM(b.path(name+".pem"), "CERTIFICATE", der)
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PublicKey) ([]byte, error) {
	a.n++
	template.SerialNumber = big.NewInt(a.n)
	return x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
}

// env makes a process trust the authority.
func (a *authority) env() string { return "SSL_CERT_FILE=" + a.b.path(a.name+".pem") }

// issue writes a certificate of a host, by address or name, and its key, and
// returns their files.
func (a *authority) issue(host string, from, to time.Time) (cert, key string, err error) {
	template := &x509.Certificate{NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	der, err := a.sign(template, &private.PublicKey)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	cert, key = a.b.path(fmt.Sprintf("%s-%d.pem", a.name, a.n)), a.b.path(fmt.Sprintf("%s-%d-key.pem", a.name, a.n))
	if err := writePEM(cert, "CERTIFICATE", der); err != nil {
		return "", "", err
	}
	return cert, key, writePEM(key, "PRIVATE KEY", secret)
}

// pair is issue for a server of the lab's own process.
func (a *authority) pair(host string, from, to time.Time) (*tls.Config, error) {
	cert, key, err := a.issue(host, from, to)
	if err != nil {
		return nil, err
	}
	loaded, err := tls.LoadX509KeyPair(cert, key)
	return &tls.Config{Certificates: []tls.Certificate{loaded}}, err
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
