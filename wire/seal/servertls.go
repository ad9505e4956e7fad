package seal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
)

// leafCache keeps the server certificate that was issued last, so that it is
// made anew when two thirds of its life are over and not before.
type leafCache struct {
	mu    sync.Mutex
	names string
	cert  *tls.Certificate
	until time.Time
}

// loadCA loads the operator's certificate, or the CA of our own.
func (k *ServerKeys) loadCA(made *[]string) error {
	if k.o.CertFile != "" {
		c, err := tls.LoadX509KeyPair(k.o.CertFile, k.o.KeyFile)
		if err != nil {
			return fmt.Errorf("load the server's certificate from %s and %s: %w: give a PEM certificate and its key", k.o.CertFile, k.o.KeyFile, err)
		}
		top, err := x509.ParseCertificate(c.Certificate[len(c.Certificate)-1])
		if err != nil {
			return fmt.Errorf("load the server's certificate from %s: %w", k.o.CertFile, err)
		}
		k.own, k.caCert = &c, top
		return nil
	}
	block, err := readPEM(k.path(caCertFile))
	if errors.Is(err, fs.ErrNotExist) {
		return k.makeCA(made)
	}
	if err != nil {
		return err
	}
	if k.caCert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return fmt.Errorf("read %s: %w: restore it from a backup, or remove it and %s for a new CA", k.path(caCertFile), err, caKeyFile)
	}
	key, err := readKey(k.path(caKeyFile))
	if err != nil {
		return err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok || !ec.PublicKey.Equal(k.caCert.PublicKey) {
		return fmt.Errorf("read %s: it is not the key of %s: restore both from one backup", k.path(caKeyFile), caCertFile)
	}
	k.caKey = ec
	if k.o.Now().After(k.caCert.NotAfter.Add(-leafLife)) {
		return k.makeCA(made)
	}
	return nil
}

// pinned is the certificate that agents trust for TLS: our CA, or the topmost
// one of the operator's file.
func (k *ServerKeys) pinned() *x509.Certificate { return k.caCert }

func (k *ServerKeys) makeCA(made *[]string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the CA: %w", err)
	}
	now := k.o.Now()
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "edr CA " + serial.Text(16)[:8]},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make the CA: %w", err)
	}
	if k.caCert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	k.caKey = key
	if err := writeKey(k.path(caKeyFile), key); err != nil {
		return err
	}
	if err := writeFile(k.path(caCertFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return err
	}
	*made = append(*made, k.path(caKeyFile), k.path(caCertFile))
	return nil
}

// Without this margin a serial could have a high bit or be too short for
// strict readers.
func serialNumber() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("make a certificate's serial: %w", err)
	}
	return n.SetBit(n, 126, 1), nil
}

// TLS is the server's certificate for DNS names and addresses: the operator's
// if there is one, whatever the names, otherwise one issued by our CA.
func (k *ServerKeys) TLS(names ...string) (tls.Certificate, error) {
	if k.own != nil {
		return *k.own, nil
	}
	k.leaf.mu.Lock()
	defer k.leaf.mu.Unlock()
	now, joined := k.o.Now(), strings.Join(names, ",")
	if k.leaf.cert != nil && k.leaf.names == joined && now.Before(k.leaf.until) {
		return *k.leaf.cert, nil
	}
	c, err := k.issue(names, now)
	if err != nil {
		return tls.Certificate{}, err
	}
	k.leaf.cert, k.leaf.names, k.leaf.until = c, joined, now.Add(leafLife*2/3)
	return *c, nil
}

func (k *ServerKeys) issue(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "edr-server"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else if n != "" && !slices.Contains(tmpl.DNSNames, n) {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, k.caCert, key.Public(), k.caKey)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate for %s: %w", strings.Join(names, ", "), err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, k.caCert.Raw}, PrivateKey: key}, nil
}

// TLSConfig is for the server's listener. Certificates of our CA are made anew
// while the server runs. TLS 1.2 is for browsers and osquery; our agents ask
// for 1.3.
func (k *ServerKeys) TLSConfig(names ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c, err := k.TLS(names...)
			return &c, err
		},
	}
}

// LocalNames are the names and addresses by which this machine is reached.
func LocalNames() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if h, err := os.Hostname(); err == nil && h != "" {
		names = append(names, h)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return names
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			names = append(names, n.IP.String())
		}
	}
	return names
}
