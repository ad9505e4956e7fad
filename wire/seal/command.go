package seal

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aiedr/edr/wire"
)

// SignedCommand is a command's exact bytes with the server's signature.
type SignedCommand []byte

// commandSkew is how far before its issue a command may be obeyed: servers of
// one fleet need not have the same clock to the second.
const commandSkew = 5 * time.Minute

// CommandState is where a host remembers which commands it took. Take makes
// serial and nonce durable before it returns nil, so that a command is obeyed
// once at most; it refuses with ErrSerialFell or ErrNonceSeen.
type CommandState interface {
	Take(c wire.Command) error
	// Serial is the highest serial taken.
	Serial() uint64
}

// signCommand signs the JSON of a command: type, key set serial, JSON, and the
// signature over all of it.
func signCommand(key ed25519.PrivateKey, keySet uint64, c wire.Command) (SignedCommand, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("sign a command: %w", err)
	}
	if len(text) > MaxCommand {
		return nil, fmt.Errorf("sign a command of %d bytes: %w", len(text), ErrOversized)
	}
	w := start(typeCommand)
	w.u64(keySet)
	w.var32(text)
	w.raw(sign(key, labelCommand, w.b))
	return w.b, nil
}

// verifyCommand says whether a host may obey b at the server's time now. It
// changes nothing; CommandState.Take is the last check.
func verifyCommand(b []byte, keys []ed25519.PublicKey, host string, now time.Time) (c wire.Command, err error) {
	if len(b) > MaxCommand+256 {
		return c, fmt.Errorf("read a command of %d bytes: %w", len(b), ErrOversized)
	}
	r := read(b, typeCommand)
	r.u64()
	text := r.var32(MaxCommand)
	payload := b[:min(r.off, len(b))]
	sig := r.take(ed25519.SignatureSize)
	if err := r.end(); err != nil {
		return c, fmt.Errorf("read a command: %w", err)
	}
	if !verifyAny(keys, sig, labelCommand, payload) {
		return c, fmt.Errorf("verify a command: %w", ErrBadSignature)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return wire.Command{}, fmt.Errorf("read a command: %v: %w", err, ErrMalformed)
	}
	fail := func(err error) (wire.Command, error) {
		return wire.Command{}, fmt.Errorf("verify command %d (%s): %w", c.Serial, c.Type, err)
	}
	switch {
	case c.Host != host:
		return fail(fmt.Errorf("it names host %.64q and this is %q: %w", c.Host, host, ErrWrongHost))
	case c.Serial == 0 || c.Nonce == "" || len(c.Nonce) > 128:
		return fail(fmt.Errorf("it has no serial or no fit nonce: %w", ErrMalformed))
	case !now.Before(c.Expires):
		return fail(fmt.Errorf("it expired %s and it is %s: %w", c.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), ErrExpired))
	case c.Issued.After(now.Add(commandSkew)):
		return fail(ErrNotYet)
	}
	return c, nil
}

// takeCommand is the check of serial and nonce that every CommandState makes.
func takeCommand(last uint64, seen func(nonce string) bool, c wire.Command) error {
	if c.Serial <= last {
		return fmt.Errorf("take command %d after %d: %w", c.Serial, last, ErrSerialFell)
	}
	if seen(c.Nonce) {
		return fmt.Errorf("take command %d: %w", c.Serial, ErrNonceSeen)
	}
	return nil
}
