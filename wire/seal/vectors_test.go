package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors anew from the fixed inputs")

// vectorFile is one file of cases.
type vectorFile struct {
	About string       `json:"about"`
	Cases []vectorCase `json:"cases"`
}

// vectorCase is one operation with its inputs, and its outputs or the name of
// its failure.
type vectorCase struct {
	Name  string `json:"name"`
	Op    string `json:"op"`
	In    fields `json:"in"`
	Out   fields `json:"out,omitempty"`
	Error string `json:"error,omitempty"`
}

// normal brings a value to what JSON makes of it.
func normal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := json.Unmarshal(b, &x); err != nil {
		t.Fatal(err)
	}
	b, _ = json.Marshal(x)
	return b
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d vector files, %v", len(files), err)
	}
	failures := map[string]bool{}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var f vectorFile
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, c := range f.Cases {
			t.Run(filepath.Base(path)+"/"+c.Name, func(t *testing.T) {
				op := operations[c.Op]
				if op == nil {
					t.Fatalf("no operation is called %q", c.Op)
				}
				out, err := op(input{t, c.In})
				if c.Error != "" {
					failures[c.Error] = true
					if RefusalName(err) != c.Error {
						t.Fatalf("got %v; want %s", err, c.Error)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got, want := normal(t, out), normal(t, c.Out); !bytes.Equal(got, want) {
					t.Fatalf("got  %s\nwant %s", got, want)
				}
			})
		}
	}
	// These come from a store or a server's state; hostile_test.go has them.
	elsewhere := map[string]bool{"unknown key set": true, "unknown host": true, "pending": true, "removed": true, "token refused": true, "unavailable": true, "gap": true}
	for _, r := range Refusals() {
		if !failures[r.Name] && !elsewhere[r.Name] {
			t.Errorf("no vector shows the failure %q", r.Name)
		}
	}
}

// stream is n bytes that depend only on the name, for the vectors' "random".
func stream(name string, n int) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(name), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func seedOf(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(stream(name, 32)) }

func publicOf(name string) []byte { return seedOf(name).Public().(ed25519.PublicKey) }
