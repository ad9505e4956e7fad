package bpf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
)

// TestObjectsMatchSources compares the hash of the sources with the one that
// build.sh recorded beside the objects.
func TestObjectsMatchSources(t *testing.T) {
	var files []string
	for _, pattern := range []string{"src/*.h", "src/*.c"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 4 {
		t.Fatalf("found only %v", files)
	}
	h := sha256.New()
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(b)
	}
	recorded, err := os.ReadFile("obj/SOURCES.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != strings.TrimSpace(string(recorded)) {
		t.Error("the sources under src/ are not those that obj/ was compiled from: run build.sh, or make bpf")
	}
}

// TestBuildIsRepeatable compiles again with the compiler of the committed
// objects and wants the same bytes.
func TestBuildIsRepeatable(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	for _, tool := range []string{"clang", "llvm-strip"} {
		if _, err := exec.LookPath(tool); err != nil {
			testneed.Missing(t, tool)
		}
	}
	recorded, err := os.ReadFile("obj/CLANG")
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if line, _, _ := strings.Cut(string(version), "\n"); line != strings.TrimSpace(string(recorded)) {
		t.Skipf("the objects were made by %q, here is %q", strings.TrimSpace(string(recorded)), line)
	}
	dir := t.TempDir()
	if out, err := exec.Command("./build.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	objects, err := filepath.Glob("obj/*.o")
	if err != nil || len(objects) == 0 {
		t.Fatalf("objects %v: %v", objects, err)
	}
	for _, o := range objects {
		old, err := os.ReadFile(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := os.ReadFile(filepath.Join(dir, filepath.Base(o)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(old, again) {
			t.Errorf("%s comes out differently", o)
		}
	}
}
