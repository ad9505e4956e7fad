package seal

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
)

const (
	tokenPrefix = "edr1."
	maxToken    = 4096
)

// Token is the content of an enrol token: where the server is, the secret
// that lets a host in, and the root whose key set the agent may accept.
type Token struct {
	Address string // such as "https://edr.example:8443"
	Secret  string
	Root    [32]byte // SHA-256 of the root's public key
}

// String is the token's text. It holds the secret: write it to files of mode
// 0600 only.
func (t Token) String() string {
	w := &writer{}
	w.var16([]byte(t.Address))
	w.var16([]byte(t.Secret))
	w.raw(t.Root[:])
	sum := sha256.Sum256(w.b)
	w.raw(sum[:4])
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(w.b)
}

// ParseToken reads a token's text; white space around it does not matter.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("read the enrol token: %d characters: %w", len(text), ErrBadToken)
	}
	enc, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("read the enrol token: it does not begin with %s: %w", tokenPrefix, ErrBadToken)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(enc)
	if err != nil || len(b) < 4 {
		return Token{}, fmt.Errorf("read the enrol token: not base64: %w", ErrBadToken)
	}
	body, sum := b[:len(b)-4], sha256.Sum256(b[:len(b)-4])
	if string(sum[:4]) != string(b[len(b)-4:]) {
		return Token{}, fmt.Errorf("read the enrol token: its checksum does not fit: %w", ErrBadToken)
	}
	r := &reader{b: body}
	t := Token{Address: string(r.var16()), Secret: string(r.var16())}
	copy(t.Root[:], r.take(32))
	if r.end() != nil {
		return Token{}, fmt.Errorf("read the enrol token: its fields do not fit: %w", ErrBadToken)
	}
	if err := checkAddress(t.Address); err != nil {
		return Token{}, fmt.Errorf("read the enrol token: %w: %w", err, ErrBadToken)
	}
	return t, nil
}

// checkAddress wants https://host[:port] with nothing behind it but a path.
func checkAddress(a string) error {
	u, err := url.Parse(a)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("the server address %.200q is not of the form https://HOST:PORT", a)
	}
	return nil
}
