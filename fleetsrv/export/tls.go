package export

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tlsConfig are the keys of a sink that speaks TLS.
type tlsConfig struct {
	// CAFile holds the certificates, in PEM, that the receiver's may be signed
	// by; without it those of the system.
	CAFile string `json:"ca_file"`
	// CertFile and KeyFile are the server's own certificate, where the
	// receiver asks for one.
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
}

func (c *tlsConfig) load(env *environment) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(env.file(c.CAFile))
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM", env.file(c.CAFile))
		}
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, fmt.Errorf("cert_file and key_file belong together; give both or none")
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(env.file(c.CertFile), env.file(c.KeyFile))
		if err != nil {
			return nil, fmt.Errorf("cert_file: %w", err)
		}
		out.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}
