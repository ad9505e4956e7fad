package export_test

import (
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/export/exporttest"
	"github.com/aiedr/edr/wire"
)

const hookSecret = "0123456789abcdef0123"

// hook is a receiver that checks signatures.
type hook struct {
	server *httptest.Server
	secret string // file of the secret

	mu    sync.Mutex
	down  bool
	taken []exporttest.Taken
	wrong []string
}

func newHook(t *testing.T) *hook {
	h := &hook{secret: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(h.secret, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	t.Cleanup(func() {
		for _, w := range h.wrong {
			t.Error(w)
		}
	})
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	given, _ := strings.CutPrefix(r.Header.Get(export.HeaderSignature), "v1=")
	signature, herr := hex.DecodeString(given)
	if err != nil || herr != nil || !hmac.Equal(signature, export.Sign(hookSecret, r.Header.Get(export.HeaderTimestamp), body)) {
		h.wrong = append(h.wrong, "a post with a wrong signature: "+r.Header.Get(export.HeaderSignature))
	}
	var post struct{ Documents []json.RawMessage }
	switch err := json.Unmarshal(body, &post); {
	case err != nil:
		h.wrong = append(h.wrong, err.Error())
	case h.down:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "down for the night", http.StatusServiceUnavailable)
	case strings.Contains(string(body), "indigestible"):
		http.Error(w, "one of these cannot be read", http.StatusUnprocessableEntity)
	default:
		for _, d := range post.Documents {
			var id struct{ ID string }
			if err := json.Unmarshal(d, &id); err != nil {
				h.wrong = append(h.wrong, err.Error())
			}
			h.taken = append(h.taken, exporttest.Taken{ID: id.ID, Body: d})
		}
	}
}

func (h *hook) Config() string {
	return fmt.Sprintf(`{"type":"webhook","url":%q,"secret_file":%q,"allow":["127.0.0.1/32"]}`, h.server.URL+"/a-secret-path", h.secret)
}

func (h *hook) Traits() exporttest.Traits {
	return exporttest.Traits{Ordered: true, CanFail: true, Refuses: true}
}
func (h *hook) Poison(_ *testing.T, hit *wire.Hit) { hit.Description = "indigestible" }
func (h *hook) Down(*testing.T)                    { h.set(true) }
func (h *hook) Up(*testing.T)                      { h.set(false) }

func (h *hook) set(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

func (h *hook) Taken(*testing.T) []exporttest.Taken {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]exporttest.Taken(nil), h.taken...)
}

func TestWebhookContract(t *testing.T) {
	exporttest.Run(t, func(t *testing.T) exporttest.Receiver { return newHook(t) })
}
