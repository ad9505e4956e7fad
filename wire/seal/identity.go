package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The files of an agent's identity.
const (
	hostKeyFile  = "host.key"      // Ed25519 in PEM
	hostCertFile = "host.cert"     // host certificate
	keySetFile   = "keyset"        // the server's key set
	rootPinFile  = "root"          // fingerprint of the root, in hexadecimal
	commandsFile = "commands.json" // serial and nonces of commands taken
)

// Identity is who an agent is, in a folder: its key, what the server signed
// for it, the server's keys, and which commands it took. A file that cannot be
// read is set aside as NAME.corrupt-TIME and told to problem.
type Identity struct {
	dir     string
	problem func(source string, err error)
	log     *slog.Logger

	key      ed25519.PrivateKey
	commands *FileCommandState

	mu     sync.Mutex
	cert   *Certificate
	certB  []byte
	keySet *KeySet
	pin    *[32]byte
}

// OpenIdentity loads the identity of a folder and makes the host's key if
// there is none.
func OpenIdentity(dir string, problem func(source string, err error), log *slog.Logger) (*Identity, error) {
	if problem == nil {
		problem = func(string, error) {}
	}
	if log == nil {
		log = slog.Default()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the identity folder: %w", err)
	}
	i := &Identity{dir: dir, problem: problem, log: log}
	if err := i.loadKey(); err != nil {
		return nil, err
	}
	if err := i.loadRest(); err != nil {
		return nil, err
	}
	var lost, err error
	if i.commands, lost, err = OpenCommandState(i.path(commandsFile), log); err != nil {
		return nil, err
	}
	if lost != nil {
		problem("identity", lost)
	}
	return i, nil
}

func (i *Identity) path(name string) string { return filepath.Join(i.dir, name) }

// spoiled sets a file aside and says what follows from it.
func (i *Identity) spoiled(name string, why error, next string) error {
	to, err := setAside(i.path(name), time.Now())
	if err != nil {
		return err
	}
	said := fmt.Errorf("read %s: %w: it is now %s; %s", i.path(name), why, to, next)
	i.log.Error("a file of the agent's identity was set aside", "error", said)
	i.problem("identity", said)
	return nil
}

func (i *Identity) loadKey() error {
	key, err := readEd25519(i.path(hostKeyFile))
	switch {
	case err == nil:
		i.key = key
		return nil
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, fs.ErrPermission):
		return err
	default:
		if err := i.spoiled(hostKeyFile, err, "a new key is made, and the host enrols as a new one"); err != nil {
			return err
		}
	}
	_, key, err = ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make the host key: %w", err)
	}
	i.key = key
	return writeKey(i.path(hostKeyFile), key)
}

// load reads a file and hands it to parse; absent is no error.
func (i *Identity) load(name, next string, parse func([]byte) error) error {
	b, err := os.ReadFile(i.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", i.path(name), err)
	}
	if err := parse(b); err != nil {
		return i.spoiled(name, err, next)
	}
	return nil
}

func (i *Identity) loadRest() error {
	if err := i.load(rootPinFile, "the token or -pubkey has to vouch for the server again", i.parsePin); err != nil {
		return err
	}
	err := i.load(keySetFile, "it is fetched again", func(b []byte) error {
		k, err := ParseKeySet(b)
		if err != nil {
			return err
		}
		root := k.RootFingerprint()
		if i.pin != nil {
			root = *i.pin
		}
		if err := (Trust{Root: &root}).check(k); err != nil {
			return err
		}
		i.keySet, i.pin = k, &root
		return nil
	})
	if err != nil {
		return err
	}
	return i.load(hostCertFile, "the host enrols again with its key", func(b []byte) error {
		c, err := parseCertificate(b)
		if err != nil {
			return err
		}
		if !bytes.Equal(c.Key, i.public()) {
			return fmt.Errorf("it names another key than %s: %w", hostKeyFile, ErrWrongHost)
		}
		i.cert, i.certB = c, b
		return nil
	})
}

func (i *Identity) parsePin(b []byte) error {
	p, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(p) != 32 {
		return fmt.Errorf("it is no fingerprint: %w", ErrMalformed)
	}
	pin := [32]byte(p)
	i.pin = &pin
	return nil
}

func (i *Identity) public() ed25519.PublicKey { return i.key.Public().(ed25519.PublicKey) }

// Fingerprint is that of the host's key.
func (i *Identity) Fingerprint() string { return Fingerprint(i.public()) }

// HostID is the id that the server gave, "" before enrolment.
func (i *Identity) HostID() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cert == nil {
		return ""
	}
	return i.cert.Host
}

// KeySet is the server's key set that is held, nil for none.
func (i *Identity) KeySet() *KeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keySet
}

func (i *Identity) certificate() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.certB
}

// trust is t, with the pinned root where there is one: it outlives the token.
func (i *Identity) trust(t Trust) Trust {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pin != nil {
		t.Root = i.pin
	}
	return t
}

// setKeySet keeps an accepted key set and pins its root.
func (i *Identity) setKeySet(k *KeySet) error {
	root := k.RootFingerprint()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pin == nil || *i.pin != root {
		if err := writeFile(i.path(rootPinFile), []byte(hex.EncodeToString(root[:])+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := writeFile(i.path(keySetFile), k.whole, 0o600); err != nil {
		return err
	}
	i.pin, i.keySet = &root, k
	return nil
}

// setCertificate keeps a host certificate that the server signed for this key.
func (i *Identity) setCertificate(b []byte, keys []ed25519.PublicKey) error {
	c, err := parseCertificate(b)
	if err != nil {
		return err
	}
	if !c.signedBy(keys) {
		return fmt.Errorf("accept a host certificate: %w", ErrBadSignature)
	}
	if !bytes.Equal(c.Key, i.public()) {
		return fmt.Errorf("accept a host certificate: it is for another key: %w", ErrWrongHost)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := writeFile(i.path(hostCertFile), b, 0o600); err != nil {
		return err
	}
	i.cert, i.certB = c, b
	return nil
}
