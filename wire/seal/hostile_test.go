package seal

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

// TestHostileRecords sends a genuine post, changed in one way, and wants it
// refused by name, counted, and nothing kept.
func TestHostileRecords(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   *Refusal
	}{
		{"tampered body", func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, ErrTampered},
		{"tampered tag", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, ErrTampered},
		{"tampered sequence", func(b []byte) []byte { b[prefixLen+16+2+7]++; return b }, ErrTampered},
		{"tampered key set serial", func(b []byte) []byte { b[headerLen-1]++; return b }, ErrTampered},
		{"other direction", func(b []byte) []byte { b[prefixLen+17] = 1; return b }, ErrWrongChannel},
		{"other channel", func(b []byte) []byte { b[prefixLen+16] = byte(ChannelPoll); return b }, ErrWrongChannel},
		{"no such channel", func(b []byte) []byte { b[prefixLen+16] = 9; return b }, ErrMalformed},
		{"other session", func(b []byte) []byte { b[prefixLen] ^= 1; return b }, ErrUnknownSession},
		{"truncated", func(b []byte) []byte { return b[:len(b)-9] }, ErrTampered},
		{"truncated in the header", func(b []byte) []byte { return b[:30] }, ErrTruncated},
		{"truncated before the tag", func(b []byte) []byte { return b[:headerLen+3] }, ErrTruncated},
		{"other version", func(b []byte) []byte { b[3] = 2; return b }, ErrVersion},
		{"other magic", func(b []byte) []byte { b[0] = 'X'; return b }, ErrMalformed},
		{"empty", func([]byte) []byte { return nil }, ErrTruncated},
		{"oversized", func(b []byte) []byte { return append(b, make([]byte, MaxMessage)...) }, ErrOversized},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.agent()
			if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "one")}); err != nil {
				t.Fatal(err)
			}
			batch, _ := makeBatch([]wire.Record{record("box", 2, "two")})
			request, _, err := a.client.seal(a.client.current(), ChannelPost, batch)
			if err != nil {
				t.Fatal(err)
			}
			r := w.now().HandlePost(t.Context(), c.change(append([]byte(nil), request...)))
			wantRefusal(t, r.Err, c.want)
			wantRefusal(t, readRefusal(r.Body), c.want)
			if r.Status < 400 || w.now().Counters.Map()[c.want.Name] != 1 || w.count(EventRefused) != 1 {
				t.Fatalf("status %d, counters %v, %d events", r.Status, w.now().Counters.Map(), w.count(EventRefused))
			}
			if w.store.records() != 1 {
				t.Fatalf("%d records are kept; want the first only", w.store.records())
			}
			// The genuine one still counts, once.
			if r := w.now().HandlePost(t.Context(), request); r.Err != nil {
				t.Fatal(r.Err)
			}
			wantRefusal(t, w.now().HandlePost(t.Context(), request).Err, ErrReplayed)
			if w.store.records() != 2 {
				t.Fatalf("%d records are kept; want 2", w.store.records())
			}
		})
	}
}

func TestHostileReplies(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"tampered":  func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"empty":     func([]byte) []byte { return nil },
		"oversized": func(b []byte) []byte { return append(b, make([]byte, MaxMessage)...) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.agent()
			w.mangleReply = func(path string, b []byte) []byte {
				if path == PathPost {
					return change(b)
				}
				return b
			}
			ack, err := a.Post(t.Context(), []wire.Record{record("box", 1, "one")})
			if err == nil || ack != 0 || a.Counters.Total() == 0 {
				t.Fatalf("a %s reply gave ack %d, %v, counters %v", name, ack, err, a.Counters.Map())
			}
			w.mu.Lock()
			w.mangleReply = nil
			w.mu.Unlock()
			if ack, err := a.Post(t.Context(), []wire.Record{record("box", 1, "one")}); err != nil || ack != 1 {
				t.Fatalf("afterwards ack %d, %v", ack, err)
			}
			if w.store.records() != 1 {
				t.Fatalf("%d records are kept; want 1", w.store.records())
			}
		})
	}
}

func TestReplayedReplyIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	var first []byte
	w.mangleReply = func(path string, b []byte) []byte {
		if path != PathPost {
			return b
		}
		if first == nil {
			first = b
		}
		return first
	}
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "one")}); err != nil {
		t.Fatal(err)
	}
	ack, err := a.Post(t.Context(), []wire.Record{record("box", 2, "two")})
	if err == nil || ack != 0 {
		t.Fatalf("the reply to another request was taken: ack %d, %v", ack, err)
	}
	if a.Counters.Map()[ErrReplayed.Name] == 0 {
		t.Fatalf("counters %v", a.Counters.Map())
	}
}

func TestServerRestart(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "one")}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	ack, err := a.Post(t.Context(), []wire.Record{record("box", 2, "two")})
	if err != nil || ack != 2 {
		t.Fatalf("after the restart ack %d, %v", ack, err)
	}
	if w.now().Counters.Map()[ErrUnknownSession.Name] != 1 || a.Told.Map()[ErrUnknownSession.Name] != 1 || a.Counters.Total() != 0 {
		t.Fatalf("counters %v, %v, told %v", w.now().Counters.Map(), a.Counters.Map(), a.Told.Map())
	}
}

// TestGivenUp breaks off calls and calls a server that is away: neither is a
// message that was refused.
func TestGivenUp(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "one")}); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Answer(over, wire.Answer{Query: "q"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("an answer that was given up: %v", err)
	}
	if _, err := a.Poll(over); !errors.Is(err, context.Canceled) {
		t.Fatalf("a poll that was given up: %v", err)
	}
	if a.Counters.Total() != 0 || a.Told.Total() != 0 {
		t.Fatalf("counters %v, told %v", a.Counters.Map(), a.Told.Map())
	}
}

// TestForgedRefusal answers everything with "unknown session": that costs
// handshakes, spaced out, and gives away nothing.
func TestForgedRefusal(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	var opens atomic.Int32
	w.mangle = func(path string, b []byte) ([]byte, *Reply) {
		switch path {
		case PathOpen:
			opens.Add(1)
		case PathPost:
			r := RefusalReply(ErrUnknownSession)
			return b, &r
		}
		return b, nil
	}
	for range 2 {
		if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "one")}); !errors.Is(err, ErrUnknownSession) {
			t.Fatalf("got %v", err)
		}
	}
	if n := opens.Load(); n > 4 {
		t.Fatalf("%d handshakes for two posts", n)
	}
	if d := paceDelay(6); d < 10*time.Second || paceDelay(1000) != paceMost {
		t.Fatalf("the pause before the seventh handshake is %s", d)
	}
}

func TestClone(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	post := func(c *HTTPClient, n uint64) {
		t.Helper()
		if _, err := c.Post(t.Context(), []wire.Record{record("box", n, "x")}); err != nil {
			t.Fatal(err)
		}
	}
	post(a, 1)
	// The agent starts anew, again and again: its former sessions are not used
	// any more, and that is no clone.
	again := a
	for n := range uint64(6) {
		again = w.client(HTTPOptions{Dir: a.o.Dir})
		post(again, n+2)
	}
	// A session renewed in the run names the one it replaces.
	if err := again.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	post(again, 8)
	if w.count(EventClone) != 0 {
		t.Fatal("a host that started anew is called a clone")
	}
	clone := w.client(HTTPOptions{Dir: a.o.Dir})
	post(clone, 9)
	post(again, 10)
	if w.count(EventClone) != 0 {
		t.Fatal("one late message is called a clone")
	}
	post(clone, 11)
	post(again, 12)
	post(clone, 13)
	if n := w.count(EventClone); n != 1 {
		t.Fatalf("two sessions in turn gave %d alerts; want 1", n)
	}
}

// TestReplayedOpening displaces no session and counts as no clone.
func TestReplayedOpening(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	var open []byte
	w.mangle = func(path string, b []byte) ([]byte, *Reply) {
		if path == PathOpen {
			open = b
		}
		return b, nil
	}
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "x")}); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, w.now().HandleOpen(t.Context(), open, "").Err, ErrReplayed)
	for range 10 { // as if the server had forgotten it each time
		w.now().seen = newReplayCache(10)
		if r := w.now().HandleOpen(t.Context(), open, ""); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 2, "x")}); err != nil {
		t.Fatal(err)
	}
	if a.Counters.Total() != 0 || w.count(EventClone) != 0 || w.now().Sessions() > maxHostSessions {
		t.Fatalf("counters %v, clones %d, sessions %d", a.Counters.Map(), w.count(EventClone), w.now().Sessions())
	}
}

func TestTLSAndTrust(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	t.Run("nothing to trust", func(t *testing.T) {
		c := w.client(HTTPOptions{Dir: t.TempDir(), Insecure: true})
		wantRefusal(t, c.Enrol(t.Context()), ErrNoTrust)
	})
	t.Run("another root", func(t *testing.T) {
		token := other.token()
		token.Address = w.http.URL
		c := w.client(HTTPOptions{Dir: t.TempDir(), Token: token, Insecure: true})
		wantRefusal(t, c.Enrol(t.Context()), ErrWrongRoot)
		if c.Enrolled() || c.identity.KeySet() != nil {
			t.Fatal("something of the wrong server was kept")
		}
	})
	t.Run("another public key", func(t *testing.T) {
		key, err := ReadPublicKey("testdata/rsa2048-b.pub")
		if err != nil {
			t.Fatal(err)
		}
		c := w.client(HTTPOptions{Dir: t.TempDir(), PublicKey: key, Insecure: true})
		wantRefusal(t, c.Enrol(t.Context()), ErrBadEndorsement)
	})
	t.Run("public key alone is pending until admitted", func(t *testing.T) {
		key, err := ReadPublicKey(filepath.Join(w.dir, publicKeyFile))
		if err != nil {
			t.Fatal(err)
		}
		c := w.client(HTTPOptions{Dir: t.TempDir(), PublicKey: key})
		if err := c.Enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = c.Post(t.Context(), []wire.Record{record("box", 1, "x")})
		wantRefusal(t, err, ErrPending)
		w.store.setState(c.Fingerprint(), HostAdmitted)
		if _, err = c.Post(t.Context(), []wire.Record{record("box", 1, "x")}); err != nil {
			t.Fatal(err)
		}
		w.store.setState(c.Fingerprint(), HostRemoved)
		w.now().EndSessions(c.Fingerprint())
		_, err = c.Post(t.Context(), []wire.Record{record("box", 2, "x")})
		wantRefusal(t, err, ErrRemoved)
	})
	t.Run("token used up", func(t *testing.T) {
		token := w.token()
		c := w.client(HTTPOptions{Dir: t.TempDir(), Token: token})
		if err := c.Enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
		d := w.client(HTTPOptions{Dir: t.TempDir(), Token: token})
		wantRefusal(t, d.Enrol(t.Context()), ErrTokenRefused)
	})
	t.Run("a TLS certificate that nobody vouches for", func(t *testing.T) {
		a := w.agent()
		a.base = other.http.URL
		_, err := a.Post(t.Context(), []wire.Record{record("box", 1, "x")})
		if err == nil || !strings.Contains(err.Error(), "-cert") && !errors.Is(err, ErrWrongRoot) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("insecure does not reach the seal", func(t *testing.T) {
		token := w.token()
		a := w.client(HTTPOptions{Dir: t.TempDir(), Token: token, Insecure: true})
		if err := a.Enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.base = other.http.URL // TLS is not checked, and it is another server
		_, err := a.Post(t.Context(), []wire.Record{record("box", 1, "x")})
		if err == nil || other.store.records() != 0 {
			t.Fatalf("another server got %d records, %v", other.store.records(), err)
		}
	})
}

func TestCommandsThatDoNothing(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	other, err := otherKeys(t)
	if err != nil {
		t.Fatal(err)
	}
	var said []error
	a.o.Problem = func(_ string, err error) { said = append(said, err) }
	id := a.HostID()
	expired := command(id, 3, "n3")
	expired.Expires = time.Now().Add(-time.Second)
	early := command(id, 3, "n3b")
	early.Issued, early.Expires = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	forged, err := signCommand(other.present().command, 1, command(id, 9, "n9"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := w.now().SignCommand(command(id, 4, "n4"))
	if err != nil {
		t.Fatal(err)
	}
	bent := append(SignedCommand(nil), good...)
	bent[40] ^= 1
	w.send(command(id, 2, "n2"))
	if got, err := a.Poll(t.Context()); err != nil || len(got) != 1 {
		t.Fatalf("the good command gave %v, %v", got, err)
	}
	for _, c := range []struct {
		name string
		send func()
		want *Refusal
	}{
		{"another host's", func() { w.send(command("h-other", 3, "x")) }, ErrWrongHost},
		{"the same again", func() { w.send(command(id, 2, "n2")) }, ErrSerialFell},
		{"a lower serial", func() { w.send(command(id, 1, "n1")) }, ErrSerialFell},
		{"a used nonce", func() { w.send(command(id, 3, "n2")) }, ErrNonceSeen},
		{"expired", func() { w.send(expired) }, ErrExpired},
		{"from the future", func() { w.send(early) }, ErrNotYet},
		{"signed by another server", func() { w.sendBytes(forged) }, ErrBadSignature},
		{"bent", func() { w.sendBytes(bent) }, ErrBadSignature},
		{"cut", func() { w.sendBytes(good[:20]) }, ErrTruncated},
	} {
		said = nil
		before := a.Counters.Map()[c.want.Name]
		c.send()
		got, err := a.Poll(t.Context())
		if err != nil || len(got) != 0 {
			t.Fatalf("%s: gave %v, %v", c.name, got, err)
		}
		if len(said) != 1 || !errors.Is(said[0], c.want) || a.Counters.Map()[c.want.Name] != before+1 {
			t.Fatalf("%s: said %v, counters %v; want %s", c.name, said, a.Counters.Map(), c.want.Name)
		}
	}
	// The agent starts anew and remembers.
	b := w.client(HTTPOptions{Dir: a.o.Dir})
	w.send(command(id, 2, "n5"))
	if got, err := b.Poll(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("after a restart an old serial gave %v, %v", got, err)
	}
	w.sendBytes(good)
	if got, err := b.Poll(t.Context()); err != nil || len(got) != 1 || got[0].Serial != 4 {
		t.Fatalf("the good one gave %v, %v", got, err)
	}
}

// otherKeys makes the keys of another server.
func otherKeys(t *testing.T) (*ServerKeys, error) {
	k, _, err := OpenServerKeys(KeyOptions{Dir: t.TempDir(), RSAKeyFile: "testdata/rsa2048-b.pem", Log: quiet})
	return k, err
}

func TestStoreFailureIsNoLoss(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	w.store.fail = errors.New("disk full")
	ack, err := a.Post(t.Context(), []wire.Record{record("box", 1, "x")})
	if ack != 0 || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("ack %d, %v", ack, err)
	}
	w.store.mu.Lock()
	w.store.fail = nil
	w.store.mu.Unlock()
	if ack, err := a.Post(t.Context(), []wire.Record{record("box", 1, "x")}); ack != 1 || err != nil {
		t.Fatalf("ack %d, %v", ack, err)
	}
}

func TestNotOurServer(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "x")}); err != nil {
		t.Fatal(err)
	}
	w.mangle = func(_ string, b []byte) ([]byte, *Reply) {
		return b, &Reply{Status: http.StatusBadGateway, Body: []byte("<html>bad gateway</html>")}
	}
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 2, "x")}); err == nil {
		t.Fatal("a page of a proxy was taken as an answer")
	}
}

func TestPollEndsWithContext(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	if err := a.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		time.Sleep(20 * time.Millisecond)
		cancel()
	}()
	if _, err := a.Poll(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestSessionLimits(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	if err := a.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := a.client.current()
	s.next[ChannelPost-1] = SessionMessages
	if a.client.current() != nil {
		t.Fatal("a spent session is still the current one")
	}
	if _, err := a.Post(t.Context(), []wire.Record{record("box", 1, "x")}); err != nil {
		t.Fatal(err)
	}
	if a.client.current() == s {
		t.Fatal("the spent session was not replaced")
	}
	s = a.client.current()
	request, _, err := a.client.seal(s, ChannelPost, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.now().o.Now = func() time.Time { return time.Now().Add(SessionLife + time.Minute) }
	wantRefusal(t, w.now().HandlePost(t.Context(), request).Err, ErrSessionOver)
}
