package export_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export"
)

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"8.8.8.8:443": true, "[2606:4700::1111]:443": true, "172.32.0.1:1": true, "100.128.0.1:1": true, "[2a00::1]:1": true,
		"127.0.0.1:80": false, "127.8.9.1:80": false, "0.0.0.0:80": false, "10.0.0.1:80": false, "172.16.0.1:80": false, "172.31.255.255:80": false,
		"192.168.1.1:80": false, "169.254.169.254:80": false, "100.64.0.1:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false, "198.18.0.1:1": false,
		"[::1]:80": false, "[::]:80": false, "[fe80::1%eth0]:80": false, "[fc00::1]:80": false, "[fd12::1]:80": false, "[ff02::1]:80": false,
		"[::ffff:127.0.0.1]:80": false, "[::ffff:10.0.0.1]:80": false, "[64:ff9b::7f00:1]:80": false, "[2002:7f00:1::]:80": false, "[::127.0.0.1]:80": false,
		"nonsense": false,
	} {
		if err := export.CheckAddress(t, address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, ok := range map[string]bool{
		"10.1.2.3:1": true, "[::ffff:10.1.2.3]:1": true, "10.2.2.3:1": false, "[::1]:1": true, "127.0.0.1:1": false,
	} {
		if err := export.CheckAddress(t, address, "10.1.0.0/16", "::1"); (err == nil) != ok {
			t.Errorf("%s with some allowed: %v", address, err)
		}
	}
}

func hookSink(t *testing.T, more string) export.Sink {
	t.Helper()
	list, err := parse(t, t.TempDir(), fmt.Sprintf(`[{"name":"w","type":"webhook","secret_env":"SECRET",%s}]`, more))
	if err != nil {
		t.Fatal(err)
	}
	s, err := list[0].Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestWebhookStaysOutside: a name that leads inside is refused when it is
// dialled, and a redirect is not followed, whatever it leads to.
func TestWebhookStaysOutside(t *testing.T) {
	var inside atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	doc := export.EDRDocuments(t, rowOf(int64(1)))
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		_, err := hookSink(t, fmt.Sprintf(`"url":"http://%s%s/secret-path"`, host, port)).Send(t.Context(), doc)
		if err == nil || !strings.Contains(err.Error(), "the address is not public") {
			t.Errorf("%s: %v", host, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret-path") {
			t.Errorf("%s: the error tells the path: %v", host, err)
		}
	}
	if n := inside.Load(); n != 0 {
		t.Fatalf("%d requests went inside", n)
	}
	_, err := hookSink(t, fmt.Sprintf(`"url":%q,"allow":["127.0.0.1"]`, server.URL+"/secret-path")).Send(t.Context(), doc)
	if err == nil || !strings.Contains(err.Error(), "redirects are not followed") || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("a redirect: %v", err)
	}
	if n := inside.Load(); n != 1 {
		t.Errorf("%d requests, want the one that was redirected", n)
	}
}

// TestWebhookBlame: a receiver that refuses everything is wrong itself, and
// nothing is put aside for that; one that takes some is believed.
func TestWebhookBlame(t *testing.T) {
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer server.Close()
	s := hookSink(t, fmt.Sprintf(`"url":%q,"allow":["127.0.0.1"]`, server.URL))
	docs := export.EDRDocuments(t, rowOf(int64(1)), rowOf(int64(2)))
	for _, c := range []struct {
		status, refused int
		fails           bool
	}{{400, 0, true}, {422, 0, true}, {500, 0, true}, {401, 0, true}, {404, 0, true}, {302, 0, true}, {204, 0, false}, {422, 2, false}, {422, 0, true}, {200, 0, false}, {503, 0, true}} {
		status.Store(int32(c.status))
		refused, err := s.Send(t.Context(), docs)
		if (err != nil) != c.fails || len(refused) != c.refused {
			t.Errorf("%d: %v %v", c.status, refused, err)
		}
	}
}
