package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines is a writer that tests read from while another writes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// wait answers the first match once it is written.
func (l *lines) wait(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(l.String()); m != nil {
			return m[len(m)-1]
		}
	}
	t.Fatalf("%q was not written:\n%s", pattern, l.String())
	return ""
}

// TestFirstStart starts a server on nothing, logs in with what it prints, and
// stops it as a service manager does.
func TestFirstStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	start := func() (*lines, *lines, func() int) {
		ctx, cancel := context.WithCancel(context.Background())
		out, log := &lines{}, &lines{}
		code := make(chan int, 1)
		go func() {
			e := &env{bytes.NewReader(nil), out, log, func(string) string { return "" }, "test"}
			code <- e.main(ctx, []string{"-addr", "127.0.0.1:0", "-data", data})
		}()
		return out, log, func() int { cancel(); return <-code }
	}
	out, log, stop := start()
	password := out.wait(t, `first login: name admin, password (\S+) `)
	address := log.wait(t, `msg=listening address=(\S+)`)
	log.wait(t, `made file=\S*ca.pem`)

	pem, err := os.ReadFile(filepath.Join(data, "keys", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	resp, err := client.Post("https://"+address+"/api/v1/login", "application/json", strings.NewReader(`{"name":"admin","password":"`+password+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("login: %s", resp.Status)
	}
	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	defer old.CloseIdleConnections()
	if r, err := (&http.Client{Transport: old}).Get("https://" + address + "/healthz"); err == nil {
		r.Body.Close()
		t.Error("TLS 1.1 is accepted")
	}
	if code := stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, log)
	}
	for _, f := range []string{"edr.db", "keys/root.key"} {
		info, err := os.Stat(filepath.Join(data, f))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", f, info, err)
		}
	}

	// The second start makes no second administrator and no new keys.
	out, log, stop = start()
	log.wait(t, `msg=listening`)
	if code := stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if out.String() != "" || strings.Contains(log.String(), "made file") {
		t.Errorf("second start: %s%s", out, log)
	}
}
