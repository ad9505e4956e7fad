package seal

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// change says what a new key set has that the present one has not.
type change struct {
	rsa, command, ca, dates bool
	// revoke ends the former sets at once, because a key of theirs may be in
	// other hands.
	revoke bool
}

// Rotate makes new online keys and a key set with the next serial, signed by
// the root. The former keys stay good for 30 days, so that agents that were
// away come along. A sealing key that the operator gave stays.
func (k *ServerKeys) Rotate() error {
	return k.renew(change{rsa: k.o.RSAKeyFile == "", command: true}, new([]string))
}

// Revoke is Rotate after a theft: the former keys are good for nothing from
// now on. Agents fetch the new set, which the root signed.
func (k *ServerKeys) Revoke() error {
	return k.renew(change{rsa: true, command: true, revoke: true}, new([]string))
}

// renew makes and signs the next key set, and uses it.
func (k *ServerKeys) renew(c change, made *[]string) error {
	root, err := readEd25519(k.path(rootKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sign a new key set: the root key is not in %s: where it is kept offline use keys prepare, sign and install: %w", k.o.Dir, err)
	}
	if err != nil {
		return err
	}
	payload, serial, err := k.prepare(c, root.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	doc, err := signKeySet(root, payload)
	if err != nil {
		return err
	}
	if err := k.Install(doc); err != nil {
		return err
	}
	*made = append(*made, k.path(rsaName(serial)), k.path(cmdName(serial)), k.path(setName(serial)), k.path(publicKeyFile))
	return nil
}

// Prepare makes new online keys and returns what an offline root has to sign
// with SignKeySet; Install takes the result. revoke is as in Revoke.
func (k *ServerKeys) Prepare(revoke bool) (unsigned []byte, err error) {
	cur := k.present().set
	payload, _, err := k.prepare(change{rsa: k.o.RSAKeyFile == "" || revoke, command: true, revoke: revoke}, cur.Root)
	return payload, err
}

// prepare writes the keys of the next set and returns its payload.
func (k *ServerKeys) prepare(c change, root ed25519.PublicKey) ([]byte, uint64, error) {
	k.mu.RLock()
	cur, latest := k.sets[k.latest], k.latest
	k.mu.RUnlock()
	serial := latest + 1

	rsaKey, err := k.nextRSA(cur, c)
	if err != nil {
		return nil, 0, err
	}
	var command ed25519.PrivateKey
	if cur != nil && !c.command {
		command = cur.command
	} else if _, command, err = ed25519.GenerateKey(nil); err != nil {
		return nil, 0, fmt.Errorf("make a command key: %w", err)
	}
	if err := writeKey(k.path(rsaName(serial)), rsaKey); err != nil {
		return nil, 0, err
	}
	if err := writeKey(k.path(cmdName(serial)), command); err != nil {
		return nil, 0, err
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		return nil, 0, err
	}
	now := k.o.Now().UTC().Truncate(time.Second)
	set := KeySet{
		Serial: serial, Oldest: 1, Issued: now,
		// A clock that is a day behind must not keep an agent out.
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(keySetLife),
		Root: root, RSA: der, Command: [][]byte{command.Public().(ed25519.PublicKey)},
		CA: [][]byte{k.pinned().Raw},
	}
	switch {
	case cur == nil:
	case c.revoke:
		set.Oldest = serial
	default:
		set.Oldest = cur.set.Oldest
		set.Command = mergeKeys(set.Command, cur.set.Command, 3)
		set.CA = mergeKeys(set.CA, cur.set.CA, 3)
	}
	payload, err := json.Marshal(set)
	return payload, serial, err
}

// mergeKeys appends the former keys that are not there yet, up to limit.
func mergeKeys(keys, former [][]byte, limit int) [][]byte {
	for _, f := range former {
		if len(keys) < limit && !slices.ContainsFunc(keys, func(x []byte) bool { return string(x) == string(f) }) {
			keys = append(keys, f)
		}
	}
	return keys
}

func (k *ServerKeys) nextRSA(cur *onlineKeys, c change) (*rsa.PrivateKey, error) {
	switch {
	case k.o.RSAKeyFile != "":
		key, err := readRSA(k.o.RSAKeyFile)
		if err == nil && c.revoke && cur != nil && key.PublicKey.Equal(cur.set.rsaKey) {
			return nil, fmt.Errorf("revoke the sealing key: %s still holds it: put another there first", k.o.RSAKeyFile)
		}
		return key, err
	case cur != nil && !c.rsa:
		return cur.rsa, nil
	}
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("make an RSA key of %d bits: %w", rsaBits, err)
	}
	return key, nil
}

// SignKeySet signs what Prepare returned with the root key of a file, on the
// machine where that is.
func SignKeySet(rootKey string, unsigned []byte) ([]byte, error) {
	root, err := readEd25519(rootKey)
	if err != nil {
		return nil, err
	}
	return signKeySet(root, unsigned)
}

func signKeySet(root ed25519.PrivateKey, payload []byte) ([]byte, error) {
	pub := root.Public().(ed25519.PublicKey)
	fp := fingerprintOf(pub)
	doc := keySetBytes(payload, []signature{{algRoot, fp, sign(root, labelKeySet, payload)}})
	set, err := ParseKeySet(doc)
	if err != nil {
		return nil, fmt.Errorf("sign a key set: %w", err)
	}
	if set.RootFingerprint() != fp {
		return nil, fmt.Errorf("sign a key set: it is meant for another root: %w", ErrWrongRoot)
	}
	return doc, nil
}

func keySetBytes(payload []byte, sigs []signature) []byte {
	w := start(typeKeySet)
	w.var32(payload)
	w.u8(byte(len(sigs)))
	for _, s := range sigs {
		w.u8(s.alg)
		w.raw(s.by[:])
		w.var16(s.sig)
	}
	return w.b
}

// Install takes a signed key set into use. The sealing keys that are good at
// present and the new one endorse it, for agents that know one by -pubkey.
func (k *ServerKeys) Install(doc []byte) error {
	set, err := ParseKeySet(doc)
	if err != nil {
		return fmt.Errorf("install a key set: %w", err)
	}
	root := set.RootFingerprint()
	if cur := k.present(); cur != nil {
		root = cur.set.RootFingerprint()
		if set.Serial <= cur.set.Serial {
			return fmt.Errorf("install key set %d after %d: %w", set.Serial, cur.set.Serial, ErrSerialFell)
		}
	}
	if err := (Trust{Root: &root}).check(set); err != nil {
		return fmt.Errorf("install a key set: %w", err)
	}
	own, err := readRSA(k.path(rsaName(set.Serial)))
	if err != nil {
		return fmt.Errorf("install key set %d: its keys are made by keys prepare on this server: %w", set.Serial, err)
	}
	command, err := readEd25519(k.path(cmdName(set.Serial)))
	if err != nil {
		return fmt.Errorf("install key set %d: its keys are made by keys prepare on this server: %w", set.Serial, err)
	}
	if !own.PublicKey.Equal(set.rsaKey) || !command.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(set.Command[0])) {
		return fmt.Errorf("install key set %d: it was prepared with other keys than %s and %s: prepare and sign again",
			set.Serial, rsaName(set.Serial), cmdName(set.Serial))
	}
	var sigs []signature
	for _, s := range set.sigs {
		if s.alg == algRoot && s.by == root {
			sigs = append(sigs, s)
		}
	}
	endorsers := []*rsa.PrivateKey{own}
	k.mu.RLock()
	for serial, o := range k.sets {
		if serial >= set.Oldest && !slices.ContainsFunc(endorsers, func(x *rsa.PrivateKey) bool { return x.Equal(o.rsa) }) {
			endorsers = append(endorsers, o.rsa)
		}
	}
	k.mu.RUnlock()
	for _, e := range endorsers {
		s, err := endorse(rand.Reader, e, set.payload)
		if err != nil {
			return err
		}
		sigs = append(sigs, s)
	}
	// The file of the set is written last: it makes the rest count.
	if err := writeFile(k.path(setName(set.Serial)), keySetBytes(set.payload, sigs), 0o644); err != nil {
		return err
	}
	if err := k.load(); err != nil {
		return err
	}
	return writeFile(k.path(publicKeyFile), k.PublicKeyPEM(), 0o644)
}

func endorse(random io.Reader, key *rsa.PrivateKey, payload []byte) (signature, error) {
	fp, err := rsaFingerprint(&key.PublicKey)
	if err != nil {
		return signature{}, err
	}
	sig, err := rsa.SignPSS(random, key, crypto.SHA256, hash(signed(labelEndorsement, payload)), &pssOptions)
	if err != nil {
		return signature{}, fmt.Errorf("endorse a key set: %w", err)
	}
	return signature{algRSA, fp, sig}, nil
}

// RemoveRoot deletes root.key after the operator copied it to a safe place.
func (k *ServerKeys) RemoveRoot() error {
	if err := os.Remove(k.path(rootKeyFile)); err != nil {
		return fmt.Errorf("take the root offline: %w", err)
	}
	return nil
}
