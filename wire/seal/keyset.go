package seal

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"
)

const (
	maxKeySet      = 64 << 10
	maxCommandKeys = 8
	maxCAs         = 8
	maxSignatures  = 16

	algRoot byte = 1 // Ed25519 by the root
	algRSA  byte = 2 // RSA-PSS with SHA-256 by a sealing key
)

// KeySet is the server's online keys as its root signed them. The signature
// covers the exact bytes that carry it; they are kept with it.
type KeySet struct {
	Serial uint64 `json:"serial"`
	// Oldest is the lowest serial whose keys the server still honours.
	Oldest    uint64    `json:"oldest"`
	Issued    time.Time `json:"issued"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Root      []byte    `json:"root"`    // Ed25519 public key
	RSA       []byte    `json:"rsa"`     // SubjectPublicKeyInfo in DER
	Command   [][]byte  `json:"command"` // Ed25519, the present one first
	CA        [][]byte  `json:"ca"`      // certificates in DER

	whole   []byte // the message
	payload []byte
	sigs    []signature
	rsaKey  *rsa.PublicKey
	cas     []*x509.Certificate
}

type signature struct {
	alg byte
	by  [32]byte
	sig []byte
}

// Bytes is the key set as a message.
func (k *KeySet) Bytes() []byte { return k.whole }

// RootFingerprint is the SHA-256 of the root's public key.
func (k *KeySet) RootFingerprint() [32]byte { return sha256.Sum256(k.Root) }

func (k *KeySet) commandKeys() []ed25519.PublicKey {
	keys := make([]ed25519.PublicKey, len(k.Command))
	for i, c := range k.Command {
		keys[i] = c
	}
	return keys
}

// CAs are the certificates to pin for TLS.
func (k *KeySet) CAs() []*x509.Certificate { return k.cas }

// ParseKeySet reads a key set and trusts nothing of it: see Trust.Accept.
func ParseKeySet(b []byte) (*KeySet, error) {
	if len(b) > maxKeySet {
		return nil, fmt.Errorf("read a key set of %d bytes: %w", len(b), ErrOversized)
	}
	r := read(b, typeKeySet)
	k := &KeySet{payload: r.var32(maxKeySet)}
	n := int(r.u8())
	if n > maxSignatures {
		return nil, fmt.Errorf("read a key set with %d signatures: %w", n, ErrOversized)
	}
	for range n {
		s := signature{alg: r.u8()}
		copy(s.by[:], r.take(32))
		s.sig = r.var16()
		k.sigs = append(k.sigs, s)
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("read a key set: %w", err)
	}
	k.whole = bytes.Clone(b)
	return k, k.parsePayload()
}

func (k *KeySet) parsePayload() error {
	if err := json.Unmarshal(k.payload, k); err != nil {
		return fmt.Errorf("read a key set: %v: %w", err, ErrMalformed)
	}
	bad := func(what string) error { return fmt.Errorf("read a key set: %s: %w", what, ErrMalformed) }
	if k.Serial == 0 || k.Oldest > k.Serial {
		return bad("its serial is no serial")
	}
	if len(k.Root) != ed25519.PublicKeySize {
		return bad("its root is no Ed25519 key")
	}
	if len(k.Command) == 0 || len(k.Command) > maxCommandKeys {
		return bad("it has no command key or too many")
	}
	for _, c := range k.Command {
		if len(c) != ed25519.PublicKeySize {
			return bad("a command key is no Ed25519 key")
		}
	}
	pub, err := x509.ParsePKIXPublicKey(k.RSA)
	key, ok := pub.(*rsa.PublicKey)
	if err != nil || !ok {
		return bad("its sealing key is no RSA key")
	}
	if err := checkRSA(key); err != nil {
		return bad(err.Error())
	}
	k.rsaKey = key
	if len(k.CA) > maxCAs {
		return bad("it has too many CA certificates")
	}
	for _, der := range k.CA {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return bad("a CA certificate cannot be read: " + err.Error())
		}
		k.cas = append(k.cas, c)
	}
	return nil
}

// Trust is what an agent was given to know the right server by. Either is
// enough; with neither, no key set is accepted.
type Trust struct {
	// Root is the SHA-256 of the root's public key, from the enrol token or
	// pinned at enrolment.
	Root *[32]byte
	// PublicKey is the RSA key given by -pubkey.
	PublicKey *rsa.PublicKey
}

// Accept reads a key set and says whether the agent may use it: signed by the
// trusted root or endorsed by the given key, in its time at now, and not older
// than the one held (nil for none). The held one comes back if it is the same.
func (t Trust) Accept(b []byte, held *KeySet, now time.Time) (*KeySet, error) {
	k, err := ParseKeySet(b)
	if err != nil {
		return nil, err
	}
	if err := t.check(k); err != nil {
		return nil, fmt.Errorf("accept the key set with serial %d: %w", k.Serial, err)
	}
	switch {
	case now.Before(k.NotBefore):
		return nil, fmt.Errorf("accept the key set with serial %d: it begins %s, and the clock here says %s: set the clock or wait: %w",
			k.Serial, k.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), ErrNotYet)
	case now.After(k.NotAfter):
		return nil, fmt.Errorf("accept the key set with serial %d: it ended %s, and the clock here says %s: make a new one with edr-server keys rotate: %w",
			k.Serial, k.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), ErrExpired)
	}
	if held != nil {
		if k.Serial == held.Serial && bytes.Equal(k.payload, held.payload) {
			return held, nil
		}
		if k.Serial <= held.Serial {
			return nil, fmt.Errorf("accept the key set with serial %d while one with %d is held: %w", k.Serial, held.Serial, ErrSerialFell)
		}
	}
	return k, nil
}

func (t Trust) check(k *KeySet) error {
	if t.Root == nil && t.PublicKey == nil {
		return ErrNoTrust
	}
	// The root that the set names must have signed it in any case, because
	// it is the one that later sets are held to.
	own := k.RootFingerprint()
	ok := false
	for _, s := range k.sigs {
		if s.alg == algRoot && s.by == own && verify(k.Root, s.sig, labelKeySet, k.payload) {
			ok = true
		}
	}
	if t.Root != nil && own != *t.Root && t.PublicKey == nil {
		return fmt.Errorf("its root is %x, trusted is %x: %w", own[:8], t.Root[:8], ErrWrongRoot)
	}
	if !ok {
		return ErrBadSignature
	}
	if t.Root != nil && own == *t.Root {
		return nil
	}
	by, err := rsaFingerprint(t.PublicKey)
	if err != nil {
		return err
	}
	for _, s := range k.sigs {
		if s.alg == algRSA && s.by == by && verifyPSS(t.PublicKey, s.sig, k.payload) == nil {
			return nil
		}
	}
	return fmt.Errorf("the given public key is %x: %w", by[:8], ErrBadEndorsement)
}

var pssOptions = rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}

func verifyPSS(key *rsa.PublicKey, sig, payload []byte) error {
	return rsa.VerifyPSS(key, crypto.SHA256, hash(signed(labelEndorsement, payload)), sig, &pssOptions)
}
