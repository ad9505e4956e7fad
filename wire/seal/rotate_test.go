package seal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

func post(t *testing.T, c *HTTPClient, n uint64) {
	t.Helper()
	if ack, err := c.Post(t.Context(), []wire.Record{record("box", n, "x")}); err != nil || ack != n {
		t.Fatalf("post %d: ack %d, %v", n, ack, err)
	}
}

// TestRotationUnderAgents rotates beside a running server, as the keys command
// does, with one agent in a session, one that was away, and one that enrols
// with the former public key.
func TestRotationUnderAgents(t *testing.T) {
	w := newWorld(t)
	running, away := w.agent(), w.agent()
	post(t, running, 1)
	formerKey, err := ReadPublicKey(filepath.Join(w.dir, publicKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	beside, _, err := OpenServerKeys(KeyOptions{Dir: w.dir, RSAKeyFile: "testdata/rsa2048-a.pem", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	beside.o.RSAKeyFile = "testdata/rsa2048-b.pem" // another sealing key too
	if err := beside.Rotate(); err != nil {
		t.Fatal(err)
	}
	w.keys.looked = time.Time{} // the server looks every few seconds
	w.send(command(running.HostID(), 1, "n1"))
	if w.keys.Serial() != 2 {
		t.Fatalf("the server uses key set %d; want 2", w.keys.Serial())
	}
	// The first poll brings the keys, the next the command signed by them.
	var got []wire.Command
	for range 2 {
		more, err := running.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, more...); len(got) > 0 {
			break
		}
	}
	if len(got) != 1 || running.identity.KeySet().Serial != 2 {
		t.Fatalf("%d commands, key set %d", len(got), running.identity.KeySet().Serial)
	}
	post(t, running, 2)
	post(t, away, 1)
	if s := away.identity.KeySet().Serial; s != 2 {
		t.Fatalf("the agent that was away has key set %d", s)
	}
	late := w.client(HTTPOptions{Dir: t.TempDir(), PublicKey: formerKey})
	if err := late.Enrol(t.Context()); err != nil {
		t.Fatalf("enrol with the former public key: %v", err)
	}
	if running.Counters.Total()+away.Counters.Total() != 0 {
		t.Fatalf("refusals: %v %v", running.Counters.Map(), away.Counters.Map())
	}
	// A set that was replaced is refused.
	old, err := os.ReadFile(filepath.Join(w.dir, setName(1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = running.client.AcceptKeySet(old)
	wantRefusal(t, err, ErrSerialFell)
}

// TestLostOnlineKey revokes all online keys: agents come along by the root,
// without being installed anew.
func TestLostOnlineKey(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	post(t, a, 1)
	stolen := w.keys.present().command
	w.keys.o.RSAKeyFile = "testdata/rsa2048-b.pem"
	if err := w.keys.Revoke(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.keys.bySerial(1); err == nil {
		t.Fatal("the revoked keys are still honoured")
	}
	w.restart()
	post(t, a, 2)
	if a.identity.KeySet().Serial != 2 {
		t.Fatalf("the agent has key set %d", a.identity.KeySet().Serial)
	}
	if a.Told.Map()[ErrUnknownKeySet.Name] != 1 || a.Counters.Total() != 0 {
		t.Fatalf("told %v, counters %v", a.Told.Map(), a.Counters.Map())
	}
	forged, err := signCommand(stolen, 1, command(a.HostID(), 5, "n"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = a.client.Take(forged)
	wantRefusal(t, err, ErrBadSignature)
}

func TestRotateCommand(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	first := w.keys.present()
	if err := w.keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	c := command(a.HostID(), 1, "n1")
	c.Type = wire.CommandRotate
	c.Args, _ = json.Marshal(w.keys.KeySet().Bytes())
	signed, err := signCommand(first.command, 1, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, mine, err := a.client.Take(signed); err != nil || !mine || a.identity.KeySet().Serial != 2 {
		t.Fatalf("mine %v, %v, key set %d", mine, err, a.identity.KeySet().Serial)
	}
}

func TestOfflineRoot(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	safe := filepath.Join(t.TempDir(), "root.key")
	text, err := os.ReadFile(filepath.Join(w.dir, rootKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(safe, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.keys.RemoveRoot(); err != nil {
		t.Fatal(err)
	}
	w.openKeys() // a server starts without its root
	if err := w.keys.Rotate(); err == nil || !strings.Contains(err.Error(), "prepare") {
		t.Fatalf("rotated without the root: %v", err)
	}
	unsigned, err := w.keys.Prepare(false)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := otherKeys(t)
	if err != nil {
		t.Fatal(err)
	}
	_, err = SignKeySet(stranger.path(rootKeyFile), unsigned)
	wantRefusal(t, err, ErrWrongRoot)
	doc, err := SignKeySet(safe, unsigned)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.keys.Install(doc); err != nil {
		t.Fatal(err)
	}
	w.restart()
	post(t, a, 1)
	if a.identity.KeySet().Serial != 2 {
		t.Fatalf("the agent has key set %d", a.identity.KeySet().Serial)
	}
	wantRefusal(t, w.keys.Install(doc), ErrSerialFell)
}

func TestKeyFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := OpenServerKeys(KeyOptions{Dir: dir, RSAKeyFile: "testdata/rsa1024.pem", Log: quiet}); err == nil || !strings.Contains(err.Error(), "rsa1024.pem") || !strings.Contains(err.Error(), "2048") {
		t.Fatalf("a key of 1024 bits: %v", err)
	}
	if _, _, err := OpenServerKeys(KeyOptions{Dir: dir, RSAKeyFile: "testdata/rsa2048-a.pub", Log: quiet}); err == nil || !strings.Contains(err.Error(), "not a private key") {
		t.Fatalf("a public key as private: %v", err)
	}
	if _, _, err := OpenServerKeys(KeyOptions{Dir: dir, CertFile: "x", Log: quiet}); err == nil || !strings.Contains(err.Error(), "-key") {
		t.Fatalf("a certificate without its key: %v", err)
	}
	dir = t.TempDir()
	k, made, err := OpenServerKeys(KeyOptions{Dir: dir, RSAKeyFile: "testdata/rsa2048-a.pem", Log: quiet})
	if err != nil || len(made) < 6 {
		t.Fatalf("made %v, %v", made, err)
	}
	for _, f := range made {
		st, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, ".key") && runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
			t.Fatalf("%s has mode %o", f, st.Mode().Perm())
		}
	}
	// Opened again nothing is made; with another sealing key a new set is.
	if again, made, err := OpenServerKeys(KeyOptions{Dir: dir, RSAKeyFile: "testdata/rsa2048-a.pem", Log: quiet}); err != nil || len(made) != 0 || again.Serial() != 1 {
		t.Fatalf("opened again: made %v, %v", made, err)
	}
	if again, _, err := OpenServerKeys(KeyOptions{Dir: dir, RSAKeyFile: "testdata/rsa2048-b.pem", Log: quiet}); err != nil || again.Serial() != 2 {
		t.Fatalf("with another -privkey: %v", err)
	}
	if err := os.WriteFile(k.path(cmdName(2)), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenServerKeys(KeyOptions{Dir: dir, Log: quiet}); err == nil || !strings.Contains(err.Error(), cmdName(2)) {
		t.Fatalf("a damaged command key: %v", err)
	}
}

func TestDamagedIdentity(t *testing.T) {
	for _, c := range []struct {
		file string
		same bool // the host keeps its id
	}{{keySetFile, true}, {hostCertFile, true}, {rootPinFile, true}, {commandsFile, true}, {hostKeyFile, false}} {
		t.Run(c.file, func(t *testing.T) {
			w := newWorld(t)
			token := w.token()
			w.store.secrets[token.Secret] = 2
			dir := t.TempDir()
			a := w.client(HTTPOptions{Dir: dir, Token: token})
			if err := a.Enrol(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.send(command(a.HostID(), 7, "n7"))
			if got, err := a.Poll(t.Context()); err != nil || len(got) != 1 {
				t.Fatalf("%v, %v", got, err)
			}
			id := a.HostID()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte("{broken"), 0o600); err != nil {
				t.Fatal(err)
			}
			said := 0
			b, err := NewHTTPClient(HTTPOptions{Dir: dir, Token: token, Log: quiet, Problem: func(string, error) { said++ }})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			aside, _ := filepath.Glob(filepath.Join(dir, c.file+".corrupt-*"))
			if said == 0 || len(aside) != 1 {
				t.Fatalf("said %d times, set aside %v", said, aside)
			}
			if err := b.Enrol(t.Context()); err != nil {
				t.Fatal(err)
			}
			post(t, b, 1)
			if (b.HostID() == id) != c.same {
				t.Fatalf("the id was %s and is %s", id, b.HostID())
			}
			if c.file == commandsFile {
				// A command from before is refused although its serial is forgotten.
				old := command(id, 8, "n8")
				old.Issued = time.Now().Add(-time.Minute)
				w.send(old)
				if got, err := b.Poll(t.Context()); err != nil || len(got) != 0 {
					t.Fatalf("a command from before the loss gave %v, %v", got, err)
				}
				w.send(command(id, 9, "n9"))
				if got, err := b.Poll(t.Context()); err != nil || len(got) != 1 {
					t.Fatalf("a new command gave %v, %v", got, err)
				}
			}
		})
	}
}
