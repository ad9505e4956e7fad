package seal

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"
	"time"
)

// fields are the named inputs or outputs of a case, as JSON has them.
type fields map[string]any

// input reads the inputs of a case; a missing one is a fault of the vector.
type input struct {
	t *testing.T
	f fields
}

func (i input) has(name string) bool { _, ok := i.f[name]; return ok }

func (i input) text(name string) string {
	i.t.Helper()
	s, ok := i.f[name].(string)
	if !ok {
		i.t.Fatalf("input %s is %T, not a text", name, i.f[name])
	}
	return s
}

func (i input) hex(name string) []byte {
	i.t.Helper()
	b, err := hex.DecodeString(i.text(name))
	if err != nil {
		i.t.Fatalf("input %s: %v", name, err)
	}
	return b
}

// message is input "bytes", followed by as many zero bytes as "pad" says.
func (i input) message() []byte {
	b := i.hex("bytes")
	if i.has("pad") {
		b = append(b, make([]byte, i.num("pad"))...)
	}
	return b
}

func (i input) num(name string) uint64 {
	i.t.Helper()
	n, ok := i.f[name].(float64)
	if !ok {
		i.t.Fatalf("input %s is %T, not a number", name, i.f[name])
	}
	return uint64(n)
}

func (i input) time(name string) time.Time {
	i.t.Helper()
	at, err := time.Parse(time.RFC3339, i.text(name))
	if err != nil {
		i.t.Fatal(err)
	}
	return at
}

func (i input) list(name string) []string {
	i.t.Helper()
	var out []string
	l, ok := i.f[name].([]any)
	if !ok {
		i.t.Fatalf("input %s is %T, not a list", name, i.f[name])
	}
	for _, v := range l {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

func (i input) keys(name string) []ed25519.PublicKey {
	i.t.Helper()
	var keys []ed25519.PublicKey
	for _, s := range i.list(name) {
		b, err := hex.DecodeString(s)
		if err != nil {
			i.t.Fatal(err)
		}
		keys = append(keys, b)
	}
	return keys
}

func (i input) seed(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(i.hex(name)) }

func (i input) rsaPrivate(name string) *rsa.PrivateKey {
	i.t.Helper()
	block, _ := pem.Decode([]byte(i.text(name)))
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		i.t.Fatal(err)
	}
	return k.(*rsa.PrivateKey)
}

func (i input) rsaPublic(name string) *rsa.PublicKey {
	i.t.Helper()
	block, _ := pem.Decode([]byte(i.text(name)))
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		i.t.Fatal(err)
	}
	return k.(*rsa.PublicKey)
}

func (i input) header() header {
	return header{sessionID(i.hex("session")), Channel(i.num("channel")), direction(i.num("direction")), i.num("sequence"), i.num("key_set")}
}

func keyFields(k *sessionKeys) fields {
	f := fields{}
	for c := ChannelPoll; c <= ChannelAnswer; c++ {
		f[c.String()+" request"] = hex.EncodeToString(k.records[c-1][fromAgent])
		f[c.String()+" reply"] = hex.EncodeToString(k.records[c-1][fromServer])
	}
	return f
}

// operations are what a vector may ask for.
var operations = map[string]func(in input) (fields, error){
	"token_read": func(in input) (fields, error) {
		t, err := ParseToken(in.text("text"))
		return fields{"address": t.Address, "secret": t.Secret, "root": hex.EncodeToString(t.Root[:])}, err
	},
	"key_set_accept": func(in input) (fields, error) {
		var trust Trust
		if in.has("root") {
			root := [32]byte(in.hex("root"))
			trust.Root = &root
		}
		if in.has("public_key") {
			trust.PublicKey = in.rsaPublic("public_key")
		}
		var held *KeySet
		if in.has("held") {
			var err error
			if held, err = ParseKeySet(in.hex("held")); err != nil {
				in.t.Fatal(err)
			}
		}
		k, err := trust.Accept(in.message(), held, in.time("now"))
		if err != nil {
			return nil, err
		}
		return fields{"serial": k.Serial, "command": hex.EncodeToString(k.Command[0])}, nil
	},
	"certificate_read": func(in input) (fields, error) {
		c, err := parseCertificate(in.message())
		if err == nil && !c.signedBy(in.keys("command_keys")) {
			err = ErrBadSignature
		}
		if err != nil {
			return nil, err
		}
		return fields{"host": c.Host, "key": hex.EncodeToString(c.Key)}, nil
	},
	"enrol_make": func(in input) (fields, error) {
		p, err := makeEnrol(bytes.NewReader(in.hex("random")), in.num("key_set"), in.rsaPublic("sealing_key"), in.seed("host_seed"), []byte(in.text("text")))
		if err != nil {
			return nil, err
		}
		return fields{"bytes": hex.EncodeToString(p.request)}, nil
	},
	"enrol_read": func(in input) (fields, error) {
		b := in.message()
		if _, err := keySetOf(b, typeEnrolRequest); err != nil {
			return nil, err
		}
		q, p, err := readEnrol(b, in.rsaPrivate("sealing_key"))
		if err != nil {
			return nil, err
		}
		return fields{"host_key": hex.EncodeToString(q.HostKey), "token_secret": q.Secret, "secret": hex.EncodeToString(p.secret)}, nil
	},
	"enrol_reply_make": func(in input) (fields, error) {
		b, err := makeEnrolReply(bytes.NewReader(in.hex("random")), &pendingEnrol{in.hex("secret"), in.hex("request")}, in.seed("command_seed"), []byte(in.text("text")))
		return fields{"bytes": hex.EncodeToString(b)}, err
	},
	"enrol_reply_read": func(in input) (fields, error) {
		a, err := readEnrolReply(in.message(), &pendingEnrol{in.hex("secret"), in.hex("request")}, in.keys("command_keys"))
		if err != nil {
			return nil, err
		}
		return fields{"state": string(a.State), "certificate": hex.EncodeToString(a.Certificate)}, nil
	},
	"open_make": func(in input) (fields, error) {
		p, err := makeOpen(bytes.NewReader(in.hex("random")), in.num("key_set"), in.rsaPublic("sealing_key"), in.seed("host_seed"), []byte(in.text("text")))
		if err != nil {
			return nil, err
		}
		return fields{"bytes": hex.EncodeToString(p.request)}, nil
	},
	"open_read": func(in input) (fields, error) {
		b := in.message()
		if _, err := keySetOf(b, typeOpenRequest); err != nil {
			return nil, err
		}
		q, err := readOpen(b, in.rsaPrivate("sealing_key"))
		if err != nil {
			return nil, err
		}
		return fields{"host": q.Host, "host_key": hex.EncodeToString(q.cert.Key), "secret": hex.EncodeToString(q.secret), "replaces": hex.EncodeToString(q.Replaces)}, nil
	},
	"open_reply_make": func(in input) (fields, error) {
		q, err := readOpen(in.hex("request"), in.rsaPrivate("sealing_key"))
		if err != nil {
			return nil, err
		}
		b, keys, err := makeOpenReply(bytes.NewReader(in.hex("random")), q, sessionID(in.hex("session")), in.seed("command_seed"), []byte(in.text("text")))
		if err != nil {
			return nil, err
		}
		return fields{"bytes": hex.EncodeToString(b), "keys": keyFields(keys)}, nil
	},
	"open_reply_read": func(in input) (fields, error) {
		eph, err := ecdh.X25519().NewPrivateKey(in.hex("ephemeral"))
		if err != nil {
			in.t.Fatal(err)
		}
		_, id, keys, by, err := readOpenReply(in.message(), &pendingOpen{secret: in.hex("secret"), ephemeral: eph, request: in.hex("request")})
		if err == nil && !by(in.keys("command_keys")) {
			err = ErrBadSignature
		}
		if err != nil {
			return nil, err
		}
		return fields{"session": hex.EncodeToString(id[:]), "keys": keyFields(keys)}, nil
	},
	"record_make": func(in input) (fields, error) {
		a, err := newAEAD(in.hex("key"))
		if err != nil {
			return nil, err
		}
		b, err := sealRecord(a, in.header(), in.hex("body"))
		return fields{"bytes": hex.EncodeToString(b)}, err
	},
	// request_read is a server with one session: what it does with a request.
	"request_read": func(in input) (fields, error) {
		opened := time.Unix(1_800_000_000, 0)
		var keys sessionKeys
		for i := range keys.records {
			keys.records[i] = [2][]byte{in.hex("key"), in.hex("key")}
		}
		sess := &serverSession{id: sessionID(in.hex("session")), host: Host{ID: "h-1", Key: make([]byte, 32)}, opened: opened, seal: sealers{keys: &keys}}
		ch := Channel(in.num("channel"))
		sess.last[ch-1] = in.num("last")
		s := &Server{o: ServerOptions{Now: func() time.Time { return opened.Add(time.Duration(in.num("age_s")) * time.Second) }, Events: func(Event) {}}, sessions: newSessionTable(0)}
		s.sessions.add(sess)
		before := sess.last
		_, _, plain, err := s.request(in.message(), ch)
		if err != nil && RefusalName(err) != ErrOversized.Name && RefusalName(err) != ErrMalformed.Name && sess.last != before {
			in.t.Error("a refused request moved the sequence")
		}
		if err != nil {
			return nil, err
		}
		return fields{"text": string(plain)}, nil
	},
	// reply_read is an agent with one request under way.
	"reply_read": func(in input) (fields, error) {
		var keys sessionKeys
		for i := range keys.records {
			keys.records[i] = [2][]byte{in.hex("key"), in.hex("key")}
		}
		s := &clientSession{id: sessionID(in.hex("session")), seal: sealers{keys: &keys}}
		plain, err := s.open(header{s.id, Channel(in.num("channel")), fromAgent, in.num("sequence"), 1}, in.message())
		if err != nil {
			return nil, err
		}
		return fields{"text": string(plain)}, nil
	},
	"unpack": func(in input) (fields, error) {
		b, err := unpack(in.message())
		if err != nil {
			return nil, err
		}
		return fields{"text": string(b)}, nil
	},
	"command_take": func(in input) (fields, error) {
		c, err := verifyCommand(in.message(), in.keys("command_keys"), in.text("host"), in.time("now"))
		if err == nil {
			seen := map[string]bool{}
			for _, n := range in.list("nonces") {
				seen[n] = true
			}
			err = takeCommand(in.num("last"), func(n string) bool { return seen[n] }, c)
		}
		if err != nil {
			return nil, err
		}
		return fields{"serial": c.Serial, "type": string(c.Type)}, nil
	},
	"command_make": func(in input) (fields, error) {
		w := start(typeCommand)
		w.u64(in.num("key_set"))
		w.var32([]byte(in.text("text")))
		w.raw(sign(in.seed("command_seed"), labelCommand, w.b))
		return fields{"bytes": hex.EncodeToString(w.b)}, nil
	},
	// deliver gives batches to one server in turn.
	"deliver": func(in input) (fields, error) {
		store := newMemStore()
		conflicts := 0
		r := newReceiver(store, func(e Event) {
			if e.Kind == EventConflict {
				conflicts++
			}
		})
		host := Host{ID: "h-1", Key: make([]byte, 32), State: HostAdmitted}
		var steps []any
		for _, s := range in.list("batches") {
			b, err := hex.DecodeString(s)
			if err != nil {
				in.t.Fatal(err)
			}
			batch, err := readBatch(b)
			var ack uint64
			if err == nil {
				ack, err = r.receive(context.Background(), host, batch, time.Unix(1_800_000_000, 0))
			}
			steps = append(steps, fields{"ack": ack, "error": RefusalName(err), "kept": store.records(), "conflicts": conflicts})
		}
		return fields{"steps": steps}, nil
	},
	"refusal_read": func(in input) (fields, error) {
		return nil, readRefusal(in.message())
	},
}
