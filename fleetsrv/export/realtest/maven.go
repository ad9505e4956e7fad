// Package realtest brings up what the sinks are made for, Apache Kafka and
// OpenSearch, on the loopback interface, for tests. Their jars come by Maven
// into a cache; what runs is ended with the test and leaves nothing behind.
package realtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
)

// artifact is what Maven is asked for.
type artifact struct{ group, name, version string }

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>edr.test</groupId><artifactId>edr-test</artifactId><version>1</version>
<dependencies><dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency></dependencies>
</project>
`

// jars is a class path of the artifact and all that it needs. They are
// fetched once, into edr-test in the user's cache folder.
func jars(t *testing.T, a artifact) string {
	t.Helper()
	need(t, "java")
	base, err := os.UserCacheDir() // $XDG_CACHE_HOME where it is set
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "edr-test", a.name+"-"+a.version)
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "*")
	}
	need(t, "mvn")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "fetching-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), fmt.Appendf(nil, pom, a.group, a.name, a.version), 0o600); err != nil {
		t.Fatal(err)
	}
	mvn := exec.CommandContext(t.Context(), "mvn", "-B", "-q", "-f", "pom.xml", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars")
	mvn.Dir = work
	mvn.WaitDelay = 5 * time.Second
	if out, err := mvn.CombinedOutput(); err != nil {
		testneed.Missing(t, fmt.Sprintf("%s:%s:%s from Maven (%v: %s)", a.group, a.name, a.version, err, lastLine(out)))
	}
	// Whole or not at all; another test may have been faster.
	if err := os.Rename(filepath.Join(work, "jars"), dir); err != nil {
		if _, serr := os.Stat(dir); serr != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "*")
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		testneed.Missing(t, program+" (Java 17 and Maven)")
	}
}

func lastLine(out []byte) string {
	for _, line := range bytes.Split(out, []byte("\n")) {
		if s := string(line); strings.Contains(s, "ERROR") {
			return s
		}
	}
	return strings.TrimSpace(string(out[max(0, len(out)-300):]))
}
