package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// sealRun is how long each figure of Seal is measured for.
const sealRun = 300 * time.Millisecond

// Seal prints what sealing costs: a message sealed by an agent and opened by a
// server against AES-256-GCM alone, and the handshake that a session begins
// with.
func Seal(w io.Writer) error {
	dir, err := os.MkdirTemp("", "edr-bench-seal")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := newSealPair(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-34s %10s %10s %12s %6s\n", "message, sealed and opened", "ns", "MB/s", "bare GCM ns", "ratio")
	for _, size := range []int{1 << 10, 64 << 10} {
		for _, kind := range []string{"random", "records"} {
			text, err := sealText(kind, size)
			if err != nil {
				return err
			}
			bare, err := bareGCM(text)
			if err != nil {
				return err
			}
			ours, err := measure(func() error { return p.message(text) })
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%-34s %10d %10.0f %12d %6.1f\n", fmt.Sprintf("%d KiB, %s", size>>10, kind),
				ours.Nanoseconds(), float64(len(text))/ours.Seconds()/1e6, bare.Nanoseconds(), float64(ours)/float64(bare))
		}
	}
	hand, err := measure(p.open)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "handshake, both sides, RSA-3072: %.2f ms, once a session\n", hand.Seconds()*1e3)
	return nil
}

// measure is the time of one call, over as many as fit the run.
func measure(f func() error) (time.Duration, error) {
	if err := f(); err != nil {
		return 0, err
	}
	n, start := 0, time.Now()
	for time.Since(start) < sealRun {
		if err := f(); err != nil {
			return 0, err
		}
		n++
	}
	return time.Since(start) / time.Duration(n), nil
}

// sealText is random bytes, which no compression makes smaller, or the JSON of
// records as an outbox holds them.
func sealText(kind string, size int) ([]byte, error) {
	text := make([]byte, 0, size+512)
	if kind == "random" {
		text = text[:size]
		_, err := rand.Read(text)
		return text, err
	}
	for n := 1; len(text) < size; n++ {
		rec, err := json.Marshal(wire.Record{Outbox: "bench", Number: uint64(n), Kind: wire.KindProblem, Time: time.Unix(int64(n), 0).UTC(),
			Body: json.RawMessage(fmt.Sprintf(`{"source":"pack ir, query processes","error":"process %d of user %d is gone","count":%d}`, n*7919, n%60, n))})
		if err != nil {
			return nil, err
		}
		text = append(text, rec...)
	}
	return text[:size], nil
}

// bareGCM is the floor: the same bytes sealed and opened by the cipher alone.
func bareGCM(text []byte) (time.Duration, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return 0, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return 0, err
	}
	nonce := make([]byte, gcm.NonceSize())
	return measure(func() error {
		_, err := gcm.Open(nil, nonce, gcm.Seal(nil, nonce, text, nil), nil)
		return err
	})
}

// sealPair is an agent and a server without a network between them.
type sealPair struct {
	agent  *seal.Client
	server *seal.Server
	sent   int
}

func newSealPair(dir string) (*sealPair, error) {
	quiet := slog.New(slog.DiscardHandler)
	keys, _, err := seal.OpenServerKeys(seal.KeyOptions{Dir: dir + "/server", Log: quiet})
	if err != nil {
		return nil, err
	}
	store := &oneHost{}
	server, err := seal.NewServer(seal.ServerOptions{Keys: keys, Hosts: store, Receiver: store})
	if err != nil {
		return nil, err
	}
	id, err := seal.OpenIdentity(dir+"/agent", nil, quiet)
	if err != nil {
		return nil, err
	}
	root := keys.RootFingerprint()
	p := &sealPair{agent: seal.NewClient(id, seal.Trust{Root: &root}), server: server}
	if _, err := p.agent.AcceptKeySet(server.HandleKeys(context.Background(), nil).Body); err != nil {
		return nil, err
	}
	request, finish, err := p.agent.EnrolRequest("bench", wire.HostDetails{})
	if err != nil {
		return nil, err
	}
	reply := server.HandleEnrol(context.Background(), request, "")
	if reply.Err != nil {
		return nil, reply.Err
	}
	if _, err := finish(reply.Body); err != nil {
		return nil, err
	}
	return p, p.open()
}

// open is a whole handshake.
func (p *sealPair) open() error {
	request, finish, err := p.agent.OpenRequest()
	if err != nil {
		return err
	}
	reply := p.server.HandleOpen(context.Background(), request, "")
	if reply.Err != nil {
		return reply.Err
	}
	return finish(reply.Body)
}

// message seals a text as the agent and opens it as the server.
func (p *sealPair) message(text []byte) error {
	if p.sent++; p.sent%500_000 == 0 { // well within a session's messages
		if err := p.open(); err != nil {
			return err
		}
	}
	request, _, err := p.agent.Request(seal.ChannelPost, text)
	if err != nil {
		return err
	}
	_, got, _, err := p.server.Open(request, seal.ChannelPost)
	if err == nil && len(got) != len(text) {
		err = fmt.Errorf("sealed %d bytes and opened %d", len(text), len(got))
	}
	return err
}

// oneHost is a store with room for one host and no records.
type oneHost struct{ host seal.Host }

func (o *oneHost) Host(context.Context, string) (seal.Host, error) { return o.host, nil }

func (o *oneHost) Enrol(_ context.Context, e seal.Enrolment) (seal.Host, error) {
	o.host = seal.Host{ID: e.ProposedID, Key: e.Key, State: seal.HostAdmitted}
	return o.host, nil
}

func (o *oneHost) Held(context.Context, seal.Host, string, uint64, uint64) (seal.Held, error) {
	return seal.Held{}, nil
}

func (o *oneHost) Keep(context.Context, seal.Delivery) error { return nil }
