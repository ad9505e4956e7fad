package seal

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	keySetLife = 2 * 365 * 24 * time.Hour
	// keyOverlap is how long the keys of a replaced set stay good, for agents
	// that were away.
	keyOverlap = 30 * 24 * time.Hour

	rsaBits = 3072
)

// The files of a key folder. Those of a key set bear its serial.
const (
	rootKeyFile   = "root.key"
	rootPubFile   = "root.pub"
	caKeyFile     = "ca.key"
	caCertFile    = "ca.pem"
	publicKeyFile = "server-public.pem"
)

// KeyOptions says where a server's keys are and which the operator gave.
type KeyOptions struct {
	// Dir holds root.key, online keys and key sets; made where it is absent.
	Dir string
	// RSAKeyFile is an RSA private key in PEM (PKCS #1 or #8, 2048 bits or
	// more) to use as sealing key; one of 3072 bits is made where it is empty.
	RSAKeyFile string
	// CertFile and KeyFile are a TLS certificate that the operator brings;
	// where they are empty a CA of our own issues one.
	CertFile, KeyFile string
	Now               func() time.Time
	Log               *slog.Logger
}

// onlineKeys are the keys of one key set.
type onlineKeys struct {
	set     *KeySet
	rsa     *rsa.PrivateKey
	command ed25519.PrivateKey
}

// ServerKeys are the server's root and online keys, present and previous. It
// may be used from many goroutines while keys rotate.
type ServerKeys struct {
	o      KeyOptions
	caKey  *ecdsa.PrivateKey // nil where the operator brought a certificate
	caCert *x509.Certificate
	own    *tls.Certificate // the operator's
	leaf   leafCache

	mu     sync.RWMutex
	sets   map[uint64]*onlineKeys // those still honoured
	latest uint64
	looked time.Time
}

// OpenServerKeys loads the keys of a folder and makes those that are missing;
// made lists the files it wrote, to be told to the operator. A sealing key or
// certificate other than that of the present key set gets a new key set.
func OpenServerKeys(o KeyOptions) (k *ServerKeys, made []string, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, nil, errors.New("load the server's certificate: -cert and -key belong together: give both or neither")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the key folder: %w", err)
	}
	k = &ServerKeys{o: o, sets: map[uint64]*onlineKeys{}}
	if err := k.loadCA(&made); err != nil {
		return nil, nil, err
	}
	if err := k.load(); err != nil {
		return nil, nil, err
	}
	if k.latest == 0 {
		if err := k.makeRoot(&made); err != nil {
			return nil, nil, err
		}
		err = k.renew(change{rsa: true, command: true}, &made)
		return k, made, err
	}
	return k, made, k.adjust(&made)
}

// adjust makes a new key set where the present one no longer says what the
// operator's files say or comes to its end.
func (k *ServerKeys) adjust(made *[]string) error {
	cur := k.present()
	var c change
	if k.o.RSAKeyFile != "" {
		key, err := readRSA(k.o.RSAKeyFile)
		if err != nil {
			return err
		}
		c.rsa = !key.PublicKey.Equal(cur.set.rsaKey)
	}
	pin := k.pinned()
	c.ca = !slices.ContainsFunc(cur.set.cas, func(x *x509.Certificate) bool { return bytes.Equal(x.Raw, pin.Raw) })
	c.dates = k.o.Now().After(cur.set.NotAfter.Add(-keySetLife / 2))
	if c == (change{}) {
		return nil
	}
	if _, err := os.Stat(k.path(rootKeyFile)); errors.Is(err, fs.ErrNotExist) {
		if c.rsa || c.ca {
			return fmt.Errorf("renew the key set: the sealing key or certificate changed and the root is offline: "+
				"run edr-server keys prepare, sign its file where %s is, and install the result", rootKeyFile)
		}
		k.o.Log.Warn("the key set ends and the root is offline: run edr-server keys prepare, sign its file with the root, install the result",
			"ends", cur.set.NotAfter)
		return nil
	}
	return k.renew(c, made)
}

func (k *ServerKeys) path(name string) string { return filepath.Join(k.o.Dir, name) }

func (k *ServerKeys) present() *onlineKeys {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.sets[k.latest]
}

// bySerial finds the keys of a set that is still honoured.
func (k *ServerKeys) bySerial(serial uint64) (*onlineKeys, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if o := k.sets[serial]; o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("find the keys of set %d: %w", serial, ErrUnknownKeySet)
}

// certifiers are the command keys whose host certificates count: those of all
// sets that are honoured.
func (k *ServerKeys) certifiers() []ed25519.PublicKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var keys []ed25519.PublicKey
	for _, o := range k.sets {
		keys = append(keys, o.command.Public().(ed25519.PublicKey))
	}
	return keys
}

func setName(serial uint64) string { return fmt.Sprintf("keyset-%06d", serial) }
func rsaName(serial uint64) string { return fmt.Sprintf("rsa-%06d.key", serial) }
func cmdName(serial uint64) string { return fmt.Sprintf("command-%06d.key", serial) }

// serials lists the key sets of the folder, rising.
func (k *ServerKeys) serials() ([]uint64, error) {
	entries, err := os.ReadDir(k.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the key folder: %w", err)
	}
	var all []uint64
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), "keyset-")
		if n, err := strconv.ParseUint(text, 10, 64); ok && err == nil && n > 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// load reads the key sets of the folder: the last one, and before it those in
// their overlap.
func (k *ServerKeys) load() error {
	all, err := k.serials()
	if err != nil || len(all) == 0 {
		return err
	}
	latest := all[len(all)-1]
	cur, err := k.loadSet(latest)
	if err != nil {
		return err
	}
	sets := map[uint64]*onlineKeys{latest: cur}
	next := cur
	for i := len(all) - 2; i >= 0; i-- {
		if all[i] < cur.set.Oldest || k.o.Now().After(next.set.Issued.Add(keyOverlap)) {
			break
		}
		o, err := k.loadSet(all[i])
		if err != nil {
			// The present keys work; agents of the former set fetch the new.
			k.o.Log.Warn("a former key set cannot be used; its agents will fetch the present one", "serial", all[i], "error", err)
			continue
		}
		sets[all[i]], next = o, o
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sets, k.latest = sets, latest
	return nil
}

func (k *ServerKeys) loadSet(serial uint64) (*onlineKeys, error) {
	path := k.path(setName(serial))
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	set, err := ParseKeySet(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: restore it from a backup or, with the root, remove it and rotate", path, err)
	}
	root := set.RootFingerprint()
	if err := (Trust{Root: &root}).check(set); err != nil {
		return nil, fmt.Errorf("read %s: %w: restore it from a backup", path, err)
	}
	if set.Serial != serial {
		return nil, fmt.Errorf("read %s: it holds serial %d: give files back their names", path, set.Serial)
	}
	o := &onlineKeys{set: set}
	if o.rsa, err = readRSA(k.path(rsaName(serial))); err != nil {
		return nil, err
	}
	if o.command, err = readEd25519(k.path(cmdName(serial))); err != nil {
		return nil, err
	}
	if !o.rsa.PublicKey.Equal(set.rsaKey) || !bytes.Equal(o.command.Public().(ed25519.PublicKey), set.Command[0]) {
		return nil, fmt.Errorf("read the keys of %s: %s or %s is not the one that the set names: restore them from a backup",
			path, rsaName(serial), cmdName(serial))
	}
	return o, nil
}

// Reload reads the folder again if another process added a key set, looking
// at most every few seconds.
func (k *ServerKeys) Reload() (changed bool, err error) {
	now := k.o.Now()
	k.mu.Lock()
	if now.Sub(k.looked) < 3*time.Second && !now.Before(k.looked) {
		k.mu.Unlock()
		return false, nil
	}
	k.looked = now
	latest := k.latest
	k.mu.Unlock()
	all, err := k.serials()
	if err != nil || len(all) == 0 || all[len(all)-1] == latest {
		return false, err
	}
	if err := k.load(); err != nil {
		return false, err
	}
	k.o.Log.Info("a new key set is in use", "serial", k.Serial())
	return true, nil
}

// Serial is that of the present key set.
func (k *ServerKeys) Serial() uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.latest
}

// KeySet is the present key set.
func (k *ServerKeys) KeySet() *KeySet { return k.present().set }

// RootFingerprint is the SHA-256 of the root's public key.
func (k *ServerKeys) RootFingerprint() [32]byte { return k.present().set.RootFingerprint() }

// PublicKeyPEM is the present RSA sealing key, for the agents' -pubkey.
func (k *ServerKeys) PublicKeyPEM() []byte {
	b, _ := publicPEM(k.present().set.rsaKey)
	return b
}

// CAPEM is the CA that agents pin, for edrctl and browsers.
func (k *ServerKeys) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.pinned().Raw})
}

// Token makes an enrol token for a server address with a new secret. Keep
// only a hash of the secret; the text is shown once.
func (k *ServerKeys) Token(address string) (Token, error) {
	address = strings.TrimRight(address, "/")
	if err := checkAddress(address); err != nil {
		return Token{}, fmt.Errorf("make an enrol token: %w", err)
	}
	secret, err := randomBytes(rand.Reader, 20)
	if err != nil {
		return Token{}, err
	}
	return Token{Address: address, Secret: base64.RawURLEncoding.EncodeToString(secret), Root: k.RootFingerprint()}, nil
}

// makeRoot makes the root, once in a server's life.
func (k *ServerKeys) makeRoot(made *[]string) error {
	if _, err := os.Stat(k.path(rootKeyFile)); err == nil {
		return nil
	}
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make the root key: %w", err)
	}
	text, err := publicPEM(pub)
	if err != nil {
		return err
	}
	if err := writeKey(k.path(rootKeyFile), priv); err != nil {
		return err
	}
	if err := writeFile(k.path(rootPubFile), text, 0o644); err != nil {
		return err
	}
	*made = append(*made, k.path(rootKeyFile), k.path(rootPubFile))
	return nil
}

func fingerprintOf(key []byte) [32]byte { return sha256.Sum256(key) }
