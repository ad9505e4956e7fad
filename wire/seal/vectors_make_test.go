package seal

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

// maker writes the vector files. What a maker operation gives is taken from
// the code and from then on held; what a reader gives is stated here.
type maker struct {
	t       *testing.T
	private string // RSA key in PEM
	public  string
	other   string // another RSA private key
	otherPb string
	files   map[string]*vectorFile
}

func (m *maker) file(name, about string) *vectorFile {
	f := &vectorFile{About: about}
	m.files[name] = f
	return f
}

func (f *vectorFile) add(name, op string, in fields, out fields, fail *Refusal) {
	c := vectorCase{Name: name, Op: op, In: in, Out: out}
	if fail != nil {
		c.Error = fail.Name
	}
	f.Cases = append(f.Cases, c)
}

// made runs a maker operation, keeps it as a case and returns its bytes.
func (m *maker) made(f *vectorFile, name, op string, in fields) []byte {
	m.t.Helper()
	var plain fields
	if err := json.Unmarshal(normal(m.t, in), &plain); err != nil {
		m.t.Fatal(err)
	}
	out, err := operations[op](input{m.t, plain})
	if err != nil {
		m.t.Fatal(err)
	}
	f.add(name, op, in, out, nil)
	return input{m.t, out}.hex("bytes")
}

func with(in fields, more fields) fields {
	c := maps.Clone(in)
	maps.Copy(c, more)
	return c
}

func flip(b []byte, at int) string {
	b = bytes.Clone(b)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	return hexOf(b)
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeVectors(t *testing.T) {
	m := &maker{t: t, private: readText(t, "testdata/rsa2048-a.pem"), public: readText(t, "testdata/rsa2048-a.pub"),
		other: readText(t, "testdata/rsa2048-b.pem"), otherPb: readText(t, "testdata/rsa2048-b.pub"), files: map[string]*vectorFile{}}
	m.tokens()
	m.keySets()
	cert := m.certificates()
	m.enrolments(cert)
	m.openings(cert)
	m.records()
	m.commands()
	m.deliveries()
	if err := os.MkdirAll("testdata/vectors", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, f := range m.files {
		b, err := json.MarshalIndent(f, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/vectors/"+name+".json", append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *maker) tokens() {
	f := m.file("token", "token_read reads an enrol token's text: address, secret, fingerprint of the root.")
	tok := Token{Address: "https://edr.example:8443", Secret: "c2VjcmV0", Root: fingerprintOf(publicOf("root"))}
	good := tok.String()
	f.add("good", "token_read", fields{"text": good}, fields{"address": tok.Address, "secret": tok.Secret, "root": hexOf(tok.Root[:])}, nil)
	f.add("white space around it", "token_read", fields{"text": " \n" + good + "\n"}, fields{"address": tok.Address, "secret": tok.Secret, "root": hexOf(tok.Root[:])}, nil)
	f.add("a letter changed", "token_read", fields{"text": good[:20] + "A" + good[21:]}, nil, ErrBadToken)
	f.add("cut", "token_read", fields{"text": good[:len(good)-6]}, nil, ErrBadToken)
	f.add("other prefix", "token_read", fields{"text": "edr2." + good[5:]}, nil, ErrBadToken)
	tok.Address = "http://edr.example"
	f.add("no https", "token_read", fields{"text": tok.String()}, nil, ErrBadToken)
}

// keySet makes a key set whose root and endorser are as named.
func (m *maker) keySet(serial uint64, root, names string, endorser string) []byte {
	m.t.Helper()
	in := input{m.t, fields{"a": m.private, "b": m.other, "public": m.public}}
	der, err := x509.MarshalPKIXPublicKey(in.rsaPublic("public"))
	if err != nil {
		m.t.Fatal(err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	payload, err := json.Marshal(KeySet{Serial: serial, Oldest: 1, Issued: from, NotBefore: from, NotAfter: from.AddDate(2, 0, 0),
		Root: publicOf(names), RSA: der, Command: [][]byte{publicOf("command")}, CA: [][]byte{}})
	if err != nil {
		m.t.Fatal(err)
	}
	sigs := []signature{{algRoot, fingerprintOf(publicOf(names)), sign(seedOf(root), labelKeySet, payload)}}
	if endorser != "" {
		s, err := endorse(bytes.NewReader(stream("salt", 64)), in.rsaPrivate(endorser), payload)
		if err != nil {
			m.t.Fatal(err)
		}
		sigs = append(sigs, s)
	}
	return keySetBytes(payload, sigs)
}

func (m *maker) keySets() {
	f := m.file("keyset", "key_set_accept judges a key set (bytes, with pad zero bytes behind them) at the time now, trusting root (fingerprint) or public_key or both, while held is held.")
	root := fingerprintOf(publicOf("root"))
	one, two := m.keySet(1, "root", "root", "a"), m.keySet(2, "root", "root", "a")
	in := fields{"bytes": hexOf(two), "root": hexOf(root[:]), "now": "2026-06-01T00:00:00Z"}
	out := fields{"serial": 2, "command": hexOf(publicOf("command"))}
	byKey := fields{"bytes": hexOf(two), "public_key": m.public, "now": "2026-06-01T00:00:00Z"}
	f.add("signed by the trusted root", "key_set_accept", in, out, nil)
	f.add("endorsed by the given key", "key_set_accept", byKey, out, nil)
	f.add("a later serial than held", "key_set_accept", with(in, fields{"held": hexOf(one)}), out, nil)
	f.add("the one held", "key_set_accept", with(in, fields{"held": hexOf(two)}), out, nil)
	f.add("serial fell", "key_set_accept", with(in, fields{"bytes": hexOf(one), "held": hexOf(two)}), nil, ErrSerialFell)
	f.add("wrong root", "key_set_accept", with(in, fields{"bytes": hexOf(m.keySet(2, "other root", "other root", "a"))}), nil, ErrWrongRoot)
	f.add("signed by another than it names", "key_set_accept", with(in, fields{"bytes": hexOf(m.keySet(2, "other root", "root", "a"))}), nil, ErrBadSignature)
	f.add("tampered payload", "key_set_accept", with(in, fields{"bytes": hexOf(bytes.Replace(two, []byte(`"serial":2`), []byte(`"serial":3`), 1))}), nil, ErrBadSignature)
	f.add("nothing to trust", "key_set_accept", fields{"bytes": hexOf(two), "now": "2026-06-01T00:00:00Z"}, nil, ErrNoTrust)
	f.add("not endorsed", "key_set_accept", with(byKey, fields{"bytes": hexOf(m.keySet(2, "root", "root", ""))}), nil, ErrBadEndorsement)
	f.add("endorsed by another key", "key_set_accept", with(byKey, fields{"bytes": hexOf(m.keySet(2, "root", "root", "b"))}), nil, ErrBadEndorsement)
	f.add("endorsement tampered", "key_set_accept", with(byKey, fields{"bytes": flip(two, -1)}), nil, ErrBadEndorsement)
	f.add("expired", "key_set_accept", with(in, fields{"now": "2028-01-02T00:00:00Z"}), nil, ErrExpired)
	f.add("not yet valid", "key_set_accept", with(in, fields{"now": "2025-12-31T00:00:00Z"}), nil, ErrNotYet)
	f.add("truncated", "key_set_accept", with(in, fields{"bytes": hexOf(two[:len(two)-3])}), nil, ErrTruncated)
	f.add("bytes left over", "key_set_accept", with(in, fields{"bytes": hexOf(append(bytes.Clone(two), 0))}), nil, ErrMalformed)
	f.add("oversized", "key_set_accept", with(in, fields{"pad": maxKeySet}), nil, ErrOversized)
	f.add("another version", "key_set_accept", with(in, fields{"bytes": "45445202" + hexOf(two[4:])}), nil, ErrVersion)
}

func (m *maker) certificates() []byte {
	f := m.file("certificate", "certificate_read reads a host certificate and checks it by command_keys.")
	cert, err := makeCertificate(seedOf("command"), 2, Certificate{Host: "h-abc", Key: publicOf("host"), Serial: 7, Issued: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		m.t.Fatal(err)
	}
	in := fields{"bytes": hexOf(cert), "command_keys": []string{hexOf(publicOf("former command")), hexOf(publicOf("command"))}}
	f.add("good", "certificate_read", in, fields{"host": "h-abc", "key": hexOf(publicOf("host"))}, nil)
	f.add("another signer", "certificate_read", with(in, fields{"command_keys": []string{hexOf(publicOf("other"))}}), nil, ErrBadSignature)
	f.add("tampered", "certificate_read", with(in, fields{"bytes": hexOf(bytes.Replace(cert, []byte("h-abc"), []byte("h-abd"), 1))}), nil, ErrBadSignature)
	f.add("key set serial tampered", "certificate_read", with(in, fields{"bytes": flip(cert, prefixLen+7)}), nil, ErrBadSignature)
	f.add("truncated", "certificate_read", with(in, fields{"bytes": hexOf(cert[:40])}), nil, ErrTruncated)
	return cert
}

func (m *maker) enrolments(cert []byte) {
	f := m.file("enrol", "enrol_make makes a request from random = S, OAEP seed; enrol_read opens it as the server; enrol_reply_make answers with random = R, to a request with secret S; enrol_reply_read opens the answer as the host.")
	text := fmt.Sprintf(`{"secret":"c2VjcmV0","host_key":%s,"time":"2026-06-01T00:00:00Z","details":{"hostname":"web-1"}}`, normal(m.t, publicOf("host")))
	make := fields{"random": hexOf(stream("enrol", 64)), "key_set": 2, "sealing_key": m.public, "host_seed": hexOf(stream("host", 32)), "text": text}
	req := m.made(f, "request", "enrol_make", make)
	liar := m.made(f, "request signed by another key than it names", "enrol_make", with(make, fields{"host_seed": hexOf(stream("other", 32))}))
	secret := stream("enrol", 32)
	in := fields{"bytes": hexOf(req), "sealing_key": m.private}
	f.add("opened", "enrol_read", in, fields{"host_key": hexOf(publicOf("host")), "token_secret": "c2VjcmV0", "secret": hexOf(secret)}, nil)
	f.add("sender does not hold the key", "enrol_read", with(in, fields{"bytes": hexOf(liar)}), nil, ErrBadSignature)
	f.add("sealed to another server", "enrol_read", with(in, fields{"sealing_key": m.other}), nil, ErrWrongKey)
	f.add("wrapped secret tampered", "enrol_read", with(in, fields{"bytes": flip(req, 40)}), nil, ErrWrongKey)
	f.add("key set serial tampered", "enrol_read", with(in, fields{"bytes": flip(req, prefixLen+7)}), nil, ErrTampered)
	f.add("body tampered", "enrol_read", with(in, fields{"bytes": flip(req, -1)}), nil, ErrTampered)
	f.add("truncated", "enrol_read", with(in, fields{"bytes": hexOf(req[:len(req)-1])}), nil, ErrTruncated)
	f.add("oversized", "enrol_read", with(in, fields{"pad": MaxHandshake}), nil, ErrOversized)
	reply := m.made(f, "answer", "enrol_reply_make", fields{"secret": hexOf(secret), "request": hexOf(req), "random": hexOf(stream("R", 32)),
		"command_seed": hexOf(stream("command", 32)), "text": fmt.Sprintf(`{"state":"admitted","certificate":%s,"time":"2026-06-01T00:00:01Z"}`, normal(m.t, cert))})
	rin := fields{"bytes": hexOf(reply), "secret": hexOf(secret), "request": hexOf(req), "command_keys": []string{hexOf(publicOf("command"))}}
	f.add("answer opened", "enrol_reply_read", rin, fields{"state": "admitted", "certificate": hexOf(cert)}, nil)
	f.add("answer signed by another", "enrol_reply_read", with(rin, fields{"command_keys": []string{hexOf(publicOf("other"))}}), nil, ErrBadSignature)
	f.add("answer to another request", "enrol_reply_read", with(rin, fields{"request": hexOf(liar)}), nil, ErrTampered)
	f.add("answer tampered", "enrol_reply_read", with(rin, fields{"bytes": flip(reply, 10)}), nil, ErrTampered)
	f.add("a refusal instead", "enrol_reply_read", with(rin, fields{"bytes": hexOf(makeRefusal(ErrTampered))}), nil, ErrTampered)
}

func (m *maker) openings(cert []byte) {
	f := m.file("open", "open_make makes a request from random = S, X25519 key, OAEP seed; open_read opens it as the server; open_reply_make answers with random = X25519 key; open_reply_read opens the answer as the host with its secret S and ephemeral key. keys are those of the session.")
	text := fmt.Sprintf(`{"host":"h-abc","certificate":%s,"replaces":%s,"time":"2026-06-01T00:00:00Z"}`, normal(m.t, cert), normal(m.t, stream("former", 16)))
	random := stream("open", 96)
	make := fields{"random": hexOf(random), "key_set": 2, "sealing_key": m.public, "host_seed": hexOf(stream("host", 32)), "text": text}
	req := m.made(f, "request", "open_make", make)
	liar := m.made(f, "request signed by another key than its certificate's", "open_make", with(make, fields{"host_seed": hexOf(stream("other", 32))}))
	wrong := m.made(f, "request naming another host than its certificate", "open_make", with(make, fields{"text": string(bytes.Replace([]byte(text), []byte("h-abc"), []byte("h-xyz"), 1))}))
	in := fields{"bytes": hexOf(req), "sealing_key": m.private}
	f.add("opened", "open_read", in, fields{"host": "h-abc", "host_key": hexOf(publicOf("host")), "secret": hexOf(random[:32]), "replaces": hexOf(stream("former", 16))}, nil)
	f.add("sender does not hold the key", "open_read", with(in, fields{"bytes": hexOf(liar)}), nil, ErrBadSignature)
	f.add("wrong host", "open_read", with(in, fields{"bytes": hexOf(wrong)}), nil, ErrWrongHost)
	f.add("sealed to another server", "open_read", with(in, fields{"sealing_key": m.other}), nil, ErrWrongKey)
	f.add("ephemeral key tampered", "open_read", with(in, fields{"bytes": flip(req, prefixLen+8+2+256+1)}), nil, ErrTampered)
	f.add("truncated", "open_read", with(in, fields{"bytes": hexOf(req[:100])}), nil, ErrTruncated)
	f.add("oversized", "open_read", with(in, fields{"pad": MaxHandshake}), nil, ErrOversized)
	reply := m.made(f, "answer", "open_reply_make", fields{"request": hexOf(req), "sealing_key": m.private, "random": hexOf(stream("server ephemeral", 32)),
		"session": hexOf(stream("session", 16)), "command_seed": hexOf(stream("command", 32)), "text": `{"time":"2026-06-01T00:00:01Z","life_s":3600}`})
	keys := f.Cases[len(f.Cases)-1].Out["keys"]
	rin := fields{"bytes": hexOf(reply), "request": hexOf(req), "secret": hexOf(random[:32]), "ephemeral": hexOf(random[32:64]), "command_keys": []string{hexOf(publicOf("command"))}}
	f.add("answer opened", "open_reply_read", rin, fields{"session": hexOf(stream("session", 16)), "keys": keys}, nil)
	f.add("answer signed by another", "open_reply_read", with(rin, fields{"command_keys": []string{hexOf(publicOf("other"))}}), nil, ErrBadSignature)
	f.add("answer to another request", "open_reply_read", with(rin, fields{"request": hexOf(liar)}), nil, ErrTampered)
	f.add("answer with another ephemeral key", "open_reply_read", with(rin, fields{"bytes": flip(reply, prefixLen+16+1)}), nil, ErrTampered)
	f.add("an ephemeral key of low order", "open_reply_read", with(rin, fields{"bytes": hexOf(reply[:prefixLen+16]) + hexOf(bytes.Repeat([]byte{0}, 32)) + hexOf(reply[prefixLen+48:])}), nil, ErrMalformed)
	f.add("answer truncated", "open_reply_read", with(rin, fields{"bytes": hexOf(reply[:60])}), nil, ErrTruncated)
}

func (m *maker) records() {
	f := m.file("record", "record_make seals a packed body; request_read is a server whose only session has this id and key, is age_s old, and took sequence last on the channel of the path; reply_read is an agent that waits for the reply to sequence on channel; unpack unpacks a body.")
	body, err := pack([]byte(`{"taken":4}`))
	if err != nil {
		m.t.Fatal(err)
	}
	make := fields{"key": hexOf(stream("key", 32)), "session": hexOf(stream("session", 16)), "channel": 1, "direction": 0, "sequence": 5, "key_set": 2, "body": hexOf(body)}
	req := m.made(f, "request", "record_make", make)
	reply := m.made(f, "reply", "record_make", with(make, fields{"direction": 1}))
	late := m.made(f, "request beyond the session's messages", "record_make", with(make, fields{"sequence": SessionMessages + 1}))
	big := m.made(f, "request that claims to unpack to more than allowed", "record_make", with(make, fields{"body": "01ffffffff00"}))
	in := fields{"bytes": hexOf(req), "key": make["key"], "session": make["session"], "channel": 1, "last": 4, "age_s": 60}
	out := fields{"text": `{"taken":4}`}
	f.add("opened", "request_read", in, out, nil)
	f.add("after a gap in sequence", "request_read", with(in, fields{"last": 2}), out, nil)
	f.add("replayed sequence", "request_read", with(in, fields{"last": 5}), nil, ErrReplayed)
	f.add("sequence fell", "request_read", with(in, fields{"last": 9}), nil, ErrReplayed)
	f.add("tampered header", "request_read", with(in, fields{"bytes": flip(req, prefixLen+16+2+7)}), nil, ErrTampered)
	f.add("tampered body", "request_read", with(in, fields{"bytes": flip(req, headerLen)}), nil, ErrTampered)
	f.add("wrong key", "request_read", with(in, fields{"key": hexOf(stream("other", 32))}), nil, ErrTampered)
	f.add("on another channel's path", "request_read", with(in, fields{"channel": 2}), nil, ErrWrongChannel)
	f.add("a reply as request", "request_read", with(in, fields{"bytes": hexOf(reply)}), nil, ErrWrongChannel)
	f.add("truncated", "request_read", with(in, fields{"bytes": hexOf(req[:headerLen+8])}), nil, ErrTruncated)
	f.add("oversized", "request_read", with(in, fields{"pad": MaxMessage}), nil, ErrOversized)
	f.add("unknown session", "request_read", with(in, fields{"session": hexOf(stream("other", 16))}), nil, ErrUnknownSession)
	f.add("session over its time", "request_read", with(in, fields{"age_s": 3601}), nil, ErrSessionOver)
	f.add("session over its messages", "request_read", with(in, fields{"bytes": hexOf(late)}), nil, ErrSessionOver)
	f.add("unpacks to too much", "request_read", with(in, fields{"bytes": hexOf(big)}), nil, ErrOversized)
	rin := fields{"bytes": hexOf(reply), "key": make["key"], "session": make["session"], "channel": 1, "sequence": 5}
	f.add("reply opened", "reply_read", rin, out, nil)
	f.add("reply to another request", "reply_read", with(rin, fields{"sequence": 6}), nil, ErrReplayed)
	f.add("reply tampered", "reply_read", with(rin, fields{"bytes": flip(reply, -1)}), nil, ErrTampered)
	f.add("request as reply", "reply_read", with(rin, fields{"bytes": hexOf(req)}), nil, ErrWrongChannel)
	f.add("reply of another session", "reply_read", with(rin, fields{"session": hexOf(stream("other", 16))}), nil, ErrUnknownSession)
	f.add("unknown session told", "reply_read", with(rin, fields{"bytes": hexOf(makeRefusal(ErrUnknownSession))}), nil, ErrUnknownSession)
	f.add("a refusal", "refusal_read", fields{"bytes": hexOf(makeRefusal(ErrUnknownSession))}, nil, ErrUnknownSession)
	long := bytes.Repeat([]byte("aaaaaaaab"), 100)
	packed, err := pack(long)
	if err != nil {
		m.t.Fatal(err)
	}
	f.add("zstd", "unpack", fields{"bytes": hexOf(packed)}, fields{"text": string(long)}, nil)
	f.add("another length than it says", "unpack", fields{"bytes": flip(packed, 4)}, nil, ErrMalformed)
	f.add("unknown codec", "unpack", fields{"bytes": "0700000000"}, nil, ErrMalformed)
	f.add("no length", "unpack", fields{"bytes": "0000"}, nil, ErrTruncated)
}

func (m *maker) commands() {
	f := m.file("command", "command_make signs a command's text; command_take judges it on a host that took serial last, keeps nonces, and knows the server's time now.")
	make := fields{"command_seed": hexOf(stream("command", 32)), "key_set": 2,
		"text": `{"host":"h-abc","serial":9,"nonce":"n9","type":"query","args":{"id":"q","sql":"SELECT 1"},"issued":"2026-06-01T00:00:00Z","expires":"2026-06-01T01:00:00Z"}`}
	c := m.made(f, "command", "command_make", make)
	in := fields{"bytes": hexOf(c), "command_keys": []string{hexOf(publicOf("command"))}, "host": "h-abc", "now": "2026-06-01T00:00:10Z", "last": 8, "nonces": []string{"n7", "n8"}}
	f.add("taken", "command_take", in, fields{"serial": 9, "type": "query"}, nil)
	f.add("wrong host", "command_take", with(in, fields{"host": "h-xyz"}), nil, ErrWrongHost)
	f.add("expired", "command_take", with(in, fields{"now": "2026-06-01T01:00:00Z"}), nil, ErrExpired)
	f.add("not yet valid", "command_take", with(in, fields{"now": "2026-05-31T23:54:00Z"}), nil, ErrNotYet)
	f.add("serial fell", "command_take", with(in, fields{"last": 9}), nil, ErrSerialFell)
	f.add("nonce seen", "command_take", with(in, fields{"nonces": []string{"n9"}}), nil, ErrNonceSeen)
	f.add("another signer", "command_take", with(in, fields{"command_keys": []string{hexOf(publicOf("other"))}}), nil, ErrBadSignature)
	f.add("tampered", "command_take", with(in, fields{"bytes": hexOf(bytes.Replace(c, []byte("SELECT 1"), []byte("SELECT 2"), 1))}), nil, ErrBadSignature)
	f.add("truncated", "command_take", with(in, fields{"bytes": hexOf(c[:len(c)-1])}), nil, ErrTruncated)
	f.add("oversized", "command_take", with(in, fields{"pad": MaxCommand + 256}), nil, ErrOversized)
	none := m.made(f, "command without nonce", "command_make", with(make, fields{"text": `{"host":"h-abc","serial":9,"type":"query","issued":"2026-06-01T00:00:00Z","expires":"2026-06-01T01:00:00Z"}`}))
	f.add("no nonce", "command_take", with(in, fields{"bytes": hexOf(none)}), nil, ErrMalformed)
}

func (m *maker) deliveries() {
	f := m.file("deliver", "deliver gives batches of one host to a server in turn; steps say the number acknowledged, the failure if any, how many records are kept in all, and how many conflicts were told.")
	batch := func(records ...wire.Record) string {
		b, err := makeBatch(records)
		if err != nil {
			m.t.Fatal(err)
		}
		return hexOf(b)
	}
	good := batch(record("box", 1, "one"), record("box", 2, "two"))
	two := []byte{0, 0, 0, 2, '{', '}'}
	f.add("in turn", "deliver", fields{"batches": []string{
		good, good,
		batch(record("box", 4, "four")),
		batch(gapRecord("box", 6, 3, 4), record("box", 5, "five")),
		batch(gapRecord("box", 6, 3, 4), record("box", 7, "seven")),
		batch(record("box", 2, "other")),
		hexOf(two),
		good[:20],
		batch(record("box", 8, "a"), record("bag", 9, "b")),
	}}, fields{"steps": []any{
		fields{"ack": 2, "error": "", "kept": 2, "conflicts": 0},
		fields{"ack": 2, "error": "", "kept": 2, "conflicts": 0},
		fields{"ack": 2, "error": "gap", "kept": 2, "conflicts": 0},
		fields{"ack": 6, "error": "", "kept": 4, "conflicts": 0},
		fields{"ack": 7, "error": "", "kept": 5, "conflicts": 0},
		fields{"ack": 7, "error": "", "kept": 6, "conflicts": 1},
		fields{"ack": 0, "error": "malformed", "kept": 6, "conflicts": 1},
		fields{"ack": 0, "error": "truncated", "kept": 6, "conflicts": 1},
		fields{"ack": 0, "error": "malformed", "kept": 6, "conflicts": 1},
	}}, nil)
}
