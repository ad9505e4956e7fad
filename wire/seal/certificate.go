package seal

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"
)

const maxCertificate = 4096

// Certificate says that the server gave the holder of a key an id. A command
// key signs it, under a label of its own.
type Certificate struct {
	Host   string    `json:"host"` // host id
	Key    []byte    `json:"key"`  // the host's Ed25519 key
	Serial uint64    `json:"serial"`
	Issued time.Time `json:"issued"`

	keySet  uint64
	payload []byte
	sig     []byte
}

// makeCertificate signs a certificate: type, key set serial, payload, and the
// signature over the two.
func makeCertificate(key ed25519.PrivateKey, keySet uint64, c Certificate) ([]byte, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	w := start(typeCertificate)
	w.u64(keySet)
	w.var32(payload)
	w.raw(sign(key, labelCertificate, w.b))
	return w.b, nil
}

func parseCertificate(b []byte) (*Certificate, error) {
	if len(b) > maxCertificate {
		return nil, fmt.Errorf("read a host certificate of %d bytes: %w", len(b), ErrOversized)
	}
	r := read(b, typeCertificate)
	c := &Certificate{keySet: r.u64()}
	text := r.var32(maxCertificate)
	c.payload = b[:min(r.off, len(b))]
	c.sig = r.take(ed25519.SignatureSize)
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("read a host certificate: %w", err)
	}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("read a host certificate: %v: %w", err, ErrMalformed)
	}
	if !validHostID(c.Host) || len(c.Key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("read a host certificate: its host or key is none: %w", ErrMalformed)
	}
	return c, nil
}

func (c *Certificate) signedBy(keys []ed25519.PublicKey) bool {
	return verifyAny(keys, c.sig, labelCertificate, c.payload)
}

// validHostID wants 1 to 64 letters, digits and dashes: an id stands in
// addresses, logs and file names.
func validHostID(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}
