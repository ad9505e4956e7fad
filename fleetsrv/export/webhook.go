package export

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// webhookConfig is a sink of type "webhook".
type webhookConfig struct {
	common
	tlsConfig
	// URL that is posted to; where it holds a secret itself, by reference.
	URL     string `json:"url"`
	URLFile string `json:"url_file"`
	URLEnv  string `json:"url_env"`
	// The secret that signs each post.
	SecretFile string `json:"secret_file"`
	SecretEnv  string `json:"secret_env"`
	// Allow lists address ranges that are not public and may be reached.
	Allow []string `json:"allow"`
	// BatchSize is how many documents one post has at most.
	BatchSize int `json:"batch_size"`
}

// Headers of a post.
const (
	HeaderTimestamp = "X-EDR-Timestamp" // seconds since the epoch
	HeaderSignature = "X-EDR-Signature" // "v1=" and Sign's answer in hex
)

const (
	leastSecret = 16
	replyBytes  = 64 << 10
	postTime    = 30 * time.Second
)

// Sign is the signature of a post: HMAC-SHA256, by the shared secret, of the
// timestamp's text, a full stop, and the body. A receiver compares it in
// constant time and refuses a timestamp that is minutes away.
func Sign(secret, timestamp string, body []byte) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(timestamp + "."))
	m.Write(body)
	return m.Sum(nil)
}

func (c *webhookConfig) check(env *environment) (func(*slog.Logger) (Sink, error), error) {
	s := &webhookSink{batch: c.BatchSize, now: time.Now}
	text := c.URL
	if c.URLFile != "" || c.URLEnv != "" {
		if c.URL != "" {
			return nil, errors.New("url is given twice; give one of url, url_file and url_env")
		}
		var err error
		if text, err = env.secret("url", c.URLFile, c.URLEnv, true); err != nil {
			return nil, err
		}
	}
	if text == "" {
		return nil, errors.New("url is missing: give url, url_file or url_env")
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Fragment != "" {
		return nil, errors.New("url: it is to be like https://receiver.example/path")
	}
	if u.User != nil {
		return nil, errors.New("url: it holds a name or password; a post is known by its signature instead")
	}
	s.url, s.target = u.String(), u.Scheme+"://"+u.Host
	if s.secret, err = env.secret("secret", c.SecretFile, c.SecretEnv, true); err != nil {
		return nil, err
	}
	if len(s.secret) < leastSecret {
		return nil, fmt.Errorf("secret: it has %d bytes; give %d or more", len(s.secret), leastSecret)
	}
	if s.batch == 0 {
		s.batch = 100
	}
	if s.batch < 1 || s.batch > BatchDocuments {
		return nil, fmt.Errorf("batch_size is %d; it is to be between 1 and %d", c.BatchSize, BatchDocuments)
	}
	allowed, err := parseAllowed(c.Allow)
	if err != nil {
		return nil, err
	}
	conf, err := c.tlsConfig.load(env)
	if err != nil {
		return nil, err
	}
	// No proxy: it would resolve the name where nothing is checked.
	s.client = &http.Client{Timeout: postTime,
		Transport: &http.Transport{DialContext: guardedDial(allowed), TLSClientConfig: conf, ForceAttemptHTTP2: true,
			MaxIdleConns: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: replyBytes},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(*slog.Logger) (Sink, error) { return s, nil }, nil
}

// webhookSink posts batches as JSON: {"documents":[…]}.
type webhookSink struct {
	url, target, secret string
	batch               int
	// good says that the receiver took something since it last refused a whole
	// batch: only then is a refusal the document's fault and not the receiver's.
	good   bool
	client *http.Client
	now    func() time.Time
}

// Target implements Sink. The path stays out: with some receivers it is the
// secret.
func (s *webhookSink) Target() string { return s.target }

// Close implements Sink.
func (s *webhookSink) Close() error { s.client.CloseIdleConnections(); return nil }

// Send implements Sink. A post that the receiver calls wrong in itself is
// halved until the document is found.
func (s *webhookSink) Send(ctx context.Context, docs []Document) ([]Refusal, error) {
	var refused []Refusal
	for from := 0; from < len(docs); from += s.batch {
		r, err := s.halve(ctx, docs[from:min(from+s.batch, len(docs))], from)
		if err != nil {
			return nil, err
		}
		refused = append(refused, r...)
	}
	if len(refused) == len(docs) {
		if !s.good {
			return nil, fmt.Errorf("%w; nothing of the batch was taken, so the receiver is more likely wrong than the documents", refused[0].Err)
		}
		s.good = false
		return refused, nil
	}
	s.good = true
	return refused, nil
}

func (s *webhookSink) halve(ctx context.Context, docs []Document, at int) ([]Refusal, error) {
	err := s.post(ctx, docs)
	var bad *badDocument
	if !errors.As(err, &bad) {
		return nil, err
	}
	if len(docs) == 1 {
		return []Refusal{{at, err}}, nil
	}
	half := len(docs) / 2
	first, err := s.halve(ctx, docs[:half], at)
	if err != nil {
		return nil, err
	}
	second, err := s.halve(ctx, docs[half:], at+half)
	return append(first, second...), err
}

// badDocument is a reply that blames the content.
type badDocument struct{ error }

func (s *webhookSink) post(ctx context.Context, docs []Document) error {
	body := []byte(`{"documents":[`)
	for i, d := range docs {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, d.Body...)
	}
	body = append(body, "]}\n"...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post to %s: %w", s.target, hostOnly(err))
	}
	at := strconv.FormatInt(s.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "edr-server")
	req.Header.Set(HeaderTimestamp, at)
	req.Header.Set(HeaderSignature, "v1="+hex.EncodeToString(Sign(s.secret, at, body)))
	resp, err := s.client.Do(req)
	if err != nil {
		return hostOnly(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, replyBytes))
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil // what it says besides does not matter, nor whether it came whole
	case code >= 300 && code < 400:
		return fmt.Errorf("post to %s: it answers %s, and redirects are not followed; give the address that it leads to", s.target, resp.Status)
	case code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge || code == http.StatusUnprocessableEntity:
		return &badDocument{fmt.Errorf("post to %s: it answers %s%s", s.target, resp.Status, excerpt(said))}
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		e := fmt.Errorf("post to %s: it answers %s%s", s.target, resp.Status, excerpt(said))
		if n, aerr := strconv.Atoi(resp.Header.Get("Retry-After")); aerr == nil && n > 0 {
			return &retryAfter{e, time.Duration(min(n, 3600)) * time.Second}
		}
		return e
	default:
		return errors.Join(fmt.Errorf("post to %s: it answers %s%s", s.target, resp.Status, excerpt(said)), err)
	}
}

// excerpt is the beginning of a reply, on one line, for an error.
func excerpt(said []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(said), "")), " ")
	if text == "" {
		return ""
	}
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "…"
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return ""
	}
	return ": " + string(quoted)
}
