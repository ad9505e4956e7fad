package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
)

// The labels keep a signature or key made for one purpose from serving
// another. A signed text is label, zero byte, text.
const (
	labelKeySet      = "edr key set v1"
	labelEndorsement = "edr endorsement v1"
	labelCertificate = "edr host certificate v1"
	labelCommand     = "edr command v1"

	labelEnrolWrap    = "edr enrol v1 secret"
	labelEnrolRequest = "edr enrol v1 request"
	labelEnrolHost    = "edr enrol v1 host"
	labelEnrolReply   = "edr enrol v1 reply"
	labelEnrolServer  = "edr enrol v1 server"

	labelOpenWrap     = "edr open v1 secret"
	labelOpenIdentity = "edr open v1 identity"
	labelOpenHost     = "edr open v1 host"
	labelOpenServer   = "edr open v1 server"
	labelSession      = "edr session v1 " // and the key's name
)

const (
	minRSABits = 2048
	maxRSABits = 8192
	gcmTag     = 16
)

func signed(label string, parts ...[]byte) []byte {
	b := append([]byte(label), 0)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func sign(key ed25519.PrivateKey, label string, parts ...[]byte) []byte {
	return ed25519.Sign(key, signed(label, parts...))
}

func verify(key ed25519.PublicKey, sig []byte, label string, parts ...[]byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signed(label, parts...), sig)
}

// verifyAny says whether one of the keys made the signature.
func verifyAny(keys []ed25519.PublicKey, sig []byte, label string, parts ...[]byte) bool {
	for _, k := range keys {
		if verify(k, sig, label, parts...) {
			return true
		}
	}
	return false
}

func hash(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// derive is HKDF-SHA256, extract and expand, to 32 bytes.
func derive(secret, salt []byte, info string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, salt, info, 32)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// sealOnce encrypts with a key that is never used again, so its nonce is zero.
func sealOnce(key, plain, header []byte) ([]byte, error) {
	a, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, make([]byte, a.NonceSize()), plain, header), nil
}

func openOnce(key, sealed, header []byte) ([]byte, error) {
	a, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	p, err := a.Open(nil, make([]byte, a.NonceSize()), sealed, header)
	if err != nil {
		return nil, ErrTampered
	}
	return p, nil
}

// wrap encrypts a secret to an RSA key.
func wrap(random io.Reader, key *rsa.PublicKey, secret []byte, label string) ([]byte, error) {
	return rsa.EncryptOAEP(sha256.New(), random, key, secret, []byte(label))
}

func unwrap(key *rsa.PrivateKey, wrapped []byte, label string) ([]byte, error) {
	secret, err := rsa.DecryptOAEP(sha256.New(), nil, key, wrapped, []byte(label))
	if err != nil || len(secret) != 32 {
		return nil, ErrWrongKey
	}
	return secret, nil
}

func randomBytes(r io.Reader, n int) ([]byte, error) {
	if r == nil {
		r = rand.Reader
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("read %d random bytes: %w", n, err)
	}
	return b, nil
}

// rsaFingerprint is the SHA-256 of the key's SubjectPublicKeyInfo.
func rsaFingerprint(key *rsa.PublicKey) ([32]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(der), nil
}

func checkRSA(key *rsa.PublicKey) error {
	if n := key.N.BitLen(); n < minRSABits || n > maxRSABits {
		return fmt.Errorf("the RSA key has %d bits; use one of %d to %d", n, minRSABits, maxRSABits)
	}
	return nil
}
