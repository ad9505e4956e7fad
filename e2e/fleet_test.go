// Package e2e tests the whole system: the real programs, started as a user
// starts them, on loopback and in folders of their own.
package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const password = "correct horse battery staple"

// programs are the binaries under test, built once.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "edr-e2e-bin-")
	if err != nil {
		return "", err
	}
	for _, p := range []struct{ out, pkg string }{{"edr-server", "./cmd/server"}, {"edr-agent", "./cmd/agent"}, {"edrctl", "./cmd/edrctl"}} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, p.out), p.pkg)
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", p.pkg, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// process is one of our programs, running.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
}

func (p *process) kill(sig syscall.Signal) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended by itself; done tells
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// fleet is a server with one enrolled agent.
type fleet struct {
	t             *testing.T
	bin, dir, url string
	addr          string
	token         string
	client        *http.Client
	server, agent *process
	agentArgs     []string
}

// newFleet starts a server and an agent and waits until the host is online.
func newFleet(t *testing.T, agentArgs ...string) *fleet {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir, err := os.MkdirTemp("", "edr-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, bin: bin, dir: dir, addr: addr, url: "https://" + addr, agentArgs: agentArgs}
	t.Cleanup(func() {
		f.agent.kill(syscall.SIGTERM)
		f.server.kill(syscall.SIGTERM)
		if t.Failed() {
			for _, name := range []string{"server.log", "agent.log"} {
				b, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s:\n%s", name, tail(b, 8000))
			}
		}
		os.RemoveAll(dir)
	})
	pass := f.file("password", password)
	f.admin("user", "add", "admin", "-role", "admin", "-password-file", pass)
	f.token = strings.TrimSpace(f.admin("user", "token", "admin", "-note", "e2e"))
	f.admin("keys", "init")
	ca := f.admin("keys", "ca")
	f.file("ca.pem", ca)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ca)) {
		t.Fatalf("the CA is no certificate: %s", ca)
	}
	f.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	f.admin("enrol", "-out", filepath.Join(dir, "enrol.token"))
	f.startServer()
	f.startAgent()
	f.eventually("the host is online", func() error {
		var r struct {
			Hosts []struct{ Status string } `json:"hosts"`
		}
		if err := f.get("/hosts", &r); err != nil {
			return err
		}
		if len(r.Hosts) != 1 || r.Hosts[0].Status != "online" {
			return fmt.Errorf("hosts: %+v", r.Hosts)
		}
		return nil
	})
	return f
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}

func (f *fleet) file(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// admin runs a command of edr-server and returns its output.
func (f *fleet) admin(args ...string) string {
	f.t.Helper()
	cmd := exec.Command(filepath.Join(f.bin, "edr-server"), append(args, f.serverArgs()...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("edr-server %v: %v\n%s", args, err, errs.String())
	}
	return string(out)
}

func (f *fleet) serverArgs() []string {
	return []string{"-data", filepath.Join(f.dir, "server"), "-addr", f.addr, "-url", f.url}
}

func (f *fleet) start(name string, args ...string) *process {
	f.t.Helper()
	log, err := os.OpenFile(filepath.Join(f.dir, strings.TrimPrefix(name, "edr-")+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	p := &process{name: name, cmd: exec.Command(filepath.Join(f.bin, name), args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		log.Close()
		close(p.done)
	}()
	return p
}

func (f *fleet) startServer() {
	f.t.Helper()
	f.server = f.start("edr-server", f.serverArgs()...)
	f.eventually("the server answers", func() error {
		resp, err := f.client.Get(f.url + "/healthz")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("healthz: %s", resp.Status)
		}
		return nil
	})
}

func (f *fleet) startAgent() {
	f.t.Helper()
	args := append([]string{"-server", f.url, "-data", filepath.Join(f.dir, "agent"),
		"-enroll-file", filepath.Join(f.dir, "enrol.token")}, f.agentArgs...)
	f.agent = f.start("edr-agent", args...)
}

// request asks the API as the administrator's script does.
func (f *fleet) request(method, path string, body, into any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, f.url+"/api/v1"+path, r)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

func (f *fleet) get(path string, into any) error { return f.request(http.MethodGet, path, nil, into) }

// eventually tries until it succeeds; the bound is generous, since it only
// decides how long a failure takes.
func (f *fleet) eventually(what string, try func() error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			f.t.Fatalf("waited for: %s; at last: %v", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
