package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

// seeds adds the messages of the vectors to a fuzz target, and whether they
// are of the given operation or not: a parser meets all kinds.
func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var v vectorFile
		if err := json.Unmarshal(b, &v); err != nil {
			f.Fatal(err)
		}
		for _, c := range v.Cases {
			if s, ok := c.In["bytes"].(string); ok {
				m, _ := hex.DecodeString(s)
				f.Add(m)
			}
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add(Token{Address: "https://edr.example:8443", Secret: "s"}.String())
	f.Add("edr1.AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := ParseToken(s)
		if err != nil {
			return
		}
		if again, err := ParseToken(tok.String()); err != nil || again != tok {
			t.Fatalf("%+v reads back as %+v, %v", tok, again, err)
		}
	})
}

func FuzzKeySet(f *testing.F) {
	seeds(f)
	root := fingerprintOf(publicOf("root"))
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := Trust{Root: &root}.Accept(b, nil, at)
		if err == nil && k.RootFingerprint() != root {
			t.Fatal("a key set of another root was accepted")
		}
	})
}

func FuzzCertificate(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseCertificate(b); err == nil && !validHostID(c.Host) {
			t.Fatalf("host id %q", c.Host)
		}
	})
}

// FuzzEnvelope reads bytes as each kind of message that a server or an agent
// takes from the net.
func FuzzEnvelope(f *testing.F) {
	seeds(f)
	key := input{&testing.T{}, fields{"k": readFile(f, "testdata/rsa2048-a.pem")}}.rsaPrivate("k")
	keys := &sessionKeys{}
	for i := range keys.records {
		keys.records[i] = [2][]byte{stream("key", 32), stream("key", 32)}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		p := &pendingEnrol{stream("s", 32), []byte("request")}
		_, _, _ = readEnrol(b, key)
		_, _ = readEnrolReply(b, p, nil)
		_, _ = readOpen(b, key)
		eph, err := ephemeralKey(bytes.NewReader(stream("e", 32)))
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, _, _ = readOpenReply(b, &pendingOpen{secret: stream("s", 32), ephemeral: eph})
		_ = readRefusal(b)
		h, _, err := readHeader(b)
		if err != nil {
			return
		}
		s := &serverSession{seal: sealers{keys: keys}}
		if _, _, err := s.accept(h, b); err != nil && s.used {
			t.Fatal("a refused record counts as use")
		}
	})
}

func readFile(f *testing.F, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

func FuzzUnpack(f *testing.F) {
	p, err := pack(bytes.Repeat([]byte("abc"), 1000))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p)
	f.Add([]byte{1, 0, 0, 0, 9, 0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := unpack(b)
		if err == nil && len(out) > MaxPlain {
			t.Fatalf("unpacked %d bytes", len(out))
		}
	})
}

func FuzzBatch(f *testing.F) {
	b, err := makeBatch([]wire.Record{record("box", 1, "one"), record("box", 2, "two"), gapRecord("box", 9, 3, 7), record("box", 8, "x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, uint64(0))
	f.Add(b[:30], uint64(2))
	f.Fuzz(func(t *testing.T, b []byte, c uint64) {
		batch, err := readBatch(b)
		if err != nil || len(batch) == 0 {
			return
		}
		d, _ := decide(batch, Held{Contiguous: c})
		if d.Contiguous < c {
			t.Fatalf("the contiguous number fell from %d to %d", c, d.Contiguous)
		}
		last := c
		for _, r := range d.Records {
			if r.Record.Number <= last {
				t.Fatalf("record %d is kept after %d", r.Record.Number, last)
			}
			last = r.Record.Number
		}
	})
}

func FuzzCommand(f *testing.F) {
	seeds(f)
	at := time.Date(2026, 6, 1, 0, 0, 10, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := verifyCommand(b, (&KeySet{Command: [][]byte{publicOf("command")}}).commandKeys(), "h-abc", at)
		if err == nil && (c.Host != "h-abc" || !at.Before(c.Expires)) {
			t.Fatalf("obeyed %+v", c)
		}
	})
}
