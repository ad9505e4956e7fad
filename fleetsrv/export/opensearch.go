package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aiedr/edr/wire"
)

// searchConfig is a sink of type "opensearch" or "elasticsearch".
type searchConfig struct {
	common
	tlsConfig
	// URLs of nodes; the next is tried where one does not answer.
	URLs []string `json:"urls"`
	// Index is the beginning of the indices' names: INDEX-KIND-2026.05.31.
	Index string `json:"index"`
	// Period says how often a new index begins: day, month or none; by the
	// server's clock, so that what is sent again meets itself.
	Period string `json:"period"`
	// Template is false where the index template is somebody else's care.
	Template *bool `json:"template"`
	// User with a password, or an API key.
	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
	PasswordEnv  string `json:"password_env"`
	APIKeyFile   string `json:"api_key_file"`
	APIKeyEnv    string `json:"api_key_env"`
}

var (
	indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)
	periods   = map[string]string{"day": "-2006.01.02", "month": "-2006.01", "none": ""}
)

const (
	bulkTime  = time.Minute
	bulkReply = 64 << 20 // a reply names every document
	bulkTries = 5
)

func (c *searchConfig) check(env *environment) (func(*slog.Logger) (Sink, error), error) {
	s := &searchSink{index: c.Index, template: c.Template == nil || *c.Template, pause: 500 * time.Millisecond}
	if len(c.URLs) == 0 {
		return nil, errors.New("urls is missing: give a list like [\"https://search.example:9200\"]")
	}
	for _, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, errors.New("urls: each is to be like https://search.example:9200")
		}
		if u.User != nil {
			return nil, errors.New("urls: one holds a name or password; give user and password_file or password_env")
		}
		s.urls = append(s.urls, strings.TrimRight(u.String(), "/"))
	}
	if s.index == "" {
		s.index = "edr"
	}
	if !indexName.MatchString(s.index) {
		return nil, fmt.Errorf("index %q: it is to be of a-z, 0-9, '.', '_' and '-', 100 at most, and to begin with a letter or digit", s.index)
	}
	if c.Period == "" {
		c.Period = "day"
	}
	var ok bool
	if s.period, ok = periods[c.Period]; !ok {
		return nil, fmt.Errorf("period %q: there is day, month and none", c.Period)
	}
	password, err := env.secret("password", c.PasswordFile, c.PasswordEnv, c.User != "")
	if err != nil {
		return nil, err
	}
	if password != "" && c.User == "" {
		return nil, errors.New("user is missing: a password is given")
	}
	key, err := env.secret("api_key", c.APIKeyFile, c.APIKeyEnv, false)
	if err != nil {
		return nil, err
	}
	switch {
	case key != "" && password != "":
		return nil, errors.New("a password and an API key are both given; give one")
	case key != "":
		s.auth = func(r *http.Request) { r.Header.Set("Authorization", "ApiKey "+key) }
	case password != "":
		s.auth = func(r *http.Request) { r.SetBasicAuth(c.User, password) }
	}
	conf, err := c.tlsConfig.load(env)
	if err != nil {
		return nil, err
	}
	d := &net.Dialer{Timeout: 10 * time.Second}
	s.client = &http.Client{Timeout: bulkTime,
		Transport: &http.Transport{DialContext: d.DialContext, TLSClientConfig: conf, ForceAttemptHTTP2: true, MaxIdleConns: 4,
			IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(log *slog.Logger) (Sink, error) { s.log = log; return s, nil }, nil
}

// searchSink indexes documents in bulk, each under its own id, so that what
// is sent again replaces itself. It speaks to OpenSearch and Elasticsearch
// alike, which share what is used here.
type searchSink struct {
	urls     []string
	now      int // index of the node in use
	index    string
	period   string // layout of the date behind a name
	template bool
	ready    bool // the template is in place
	auth     func(*http.Request)
	client   *http.Client
	pause    time.Duration // before single documents are tried again
	log      *slog.Logger
}

// Target implements Sink.
func (s *searchSink) Target() string { return strings.Join(s.urls, ",") + " " + s.index + "-*" }

// Close implements Sink.
func (s *searchSink) Close() error { s.client.CloseIdleConnections(); return nil }

// Send implements Sink. Documents that the cluster was too busy for are sent
// again by themselves; when that does not help the whole batch fails.
func (s *searchSink) Send(ctx context.Context, docs []Document) ([]Refusal, error) {
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	left := make([]int, len(docs))
	for i := range left {
		left[i] = i
	}
	var refused []Refusal
	for try := 1; ; try++ {
		again, never, last, err := s.bulk(ctx, docs, left)
		if err != nil {
			return nil, err
		}
		refused = append(refused, never...)
		if len(again) == 0 {
			return refused, nil
		}
		if try == bulkTries {
			return nil, fmt.Errorf("index %d documents: %d were not taken after %d tries: %w", len(docs), len(again), try, last)
		}
		left = again
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(s.pause << (try - 1)):
		}
	}
}

// indexOf is the index of a document: the same whenever it is sent.
func (s *searchSink) indexOf(d Document) string {
	return s.index + "-" + string(d.Kind) + d.Received.UTC().Format(s.period)
}

type bulkAction struct {
	Index struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
	} `json:"index"`
}

type bulkAnswer struct {
	Errors bool `json:"errors"`
	Items  []struct {
		Index struct {
			Status int       `json:"status"`
			Error  bulkError `json:"error"`
		} `json:"index"`
	} `json:"items"`
}

type bulkError struct {
	Type     string     `json:"type"`
	Reason   string     `json:"reason"`
	CausedBy *bulkError `json:"caused_by"`
}

func (e bulkError) Error() string {
	text := e.Type + ": " + excerptText(e.Reason)
	if e.CausedBy != nil {
		text += ": " + e.CausedBy.Error()
	}
	return text
}

// bulk sends the documents of the given indices and sorts the answer: those
// to try again, with why of the last of them, and those refused for good.
func (s *searchSink) bulk(ctx context.Context, docs []Document, which []int) (again []int, never []Refusal, last, err error) {
	var body bytes.Buffer
	for _, i := range which {
		var a bulkAction
		a.Index.Index, a.Index.ID = s.indexOf(docs[i]), docs[i].ID
		head, err := json.Marshal(a)
		if err != nil {
			return nil, nil, nil, err
		}
		body.Write(head)
		body.WriteByte('\n')
		body.Write(docs[i].Body)
		body.WriteByte('\n')
	}
	status, said, err := s.do(ctx, http.MethodPost, "/_bulk", "application/x-ndjson", body.Bytes())
	if err != nil {
		return nil, nil, nil, err
	}
	if status == http.StatusRequestEntityTooLarge {
		if len(which) == 1 {
			return nil, []Refusal{{which[0], errors.New("413: the document is larger than the cluster takes")}}, nil, nil
		}
		half := len(which) / 2
		for _, part := range [][]int{which[:half], which[half:]} {
			a, n, l, err := s.bulk(ctx, docs, part)
			if err != nil {
				return nil, nil, nil, err
			}
			again, never = append(again, a...), append(never, n...)
			if l != nil {
				last = l
			}
		}
		return again, never, last, nil
	}
	if status != http.StatusOK {
		return nil, nil, nil, fmt.Errorf("index documents at %s: it answers %d%s", s.urls[s.now], status, excerpt(said))
	}
	var answer bulkAnswer
	if err := json.Unmarshal(said, &answer); err != nil {
		return nil, nil, nil, fmt.Errorf("index documents at %s: read its answer: %w", s.urls[s.now], err)
	}
	if len(answer.Items) != len(which) {
		return nil, nil, nil, fmt.Errorf("index documents at %s: it answers for %d of %d documents", s.urls[s.now], len(answer.Items), len(which))
	}
	for n, item := range answer.Items {
		switch code := item.Index.Status; {
		case code >= 200 && code < 300:
		case code == http.StatusBadRequest && item.Index.Error.Type != "index_closed_exception":
			// A mapping error or a broken value: it stays one.
			never = append(never, Refusal{which[n], fmt.Errorf("index into %s: %w", s.indexOf(docs[which[n]]), item.Index.Error)})
		default: // too busy, no shard, forbidden, read-only for want of room
			last = fmt.Errorf("%d %w", code, item.Index.Error)
			again = append(again, which[n])
		}
	}
	return again, never, last, nil
}

// do makes one request, of the next node where one does not answer.
func (s *searchSink) do(ctx context.Context, method, path, kind string, body []byte) (status int, said []byte, err error) {
	var errs []error
	for range s.urls {
		status, said, err = s.one(ctx, method, s.urls[s.now]+path, kind, body)
		if err == nil {
			return status, said, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		s.now = (s.now + 1) % len(s.urls)
	}
	return 0, nil, errors.Join(errs...)
}

func (s *searchSink) one(ctx context.Context, method, target, kind string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, hostOnly(err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("User-Agent", "edr-server")
	if s.auth != nil {
		s.auth(req)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, hostOnly(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, bulkReply+1))
	if err == nil && len(said) > bulkReply {
		err = errors.New("its answer is too long")
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", req.URL.Host, err)
	}
	return resp.StatusCode, said, nil
}

// prepare puts the index template in place, once in the life of the sink.
func (s *searchSink) prepare(ctx context.Context) error {
	if s.ready || !s.template {
		return nil
	}
	status, said, err := s.do(ctx, http.MethodGet, "/", "", nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("ask %s what it is: it answers %d%s", s.urls[s.now], status, excerpt(said))
	}
	var about struct {
		Version struct {
			Distribution string `json:"distribution"`
		} `json:"version"`
	}
	if err := json.Unmarshal(said, &about); err != nil {
		return fmt.Errorf("ask %s what it is: read its answer: %w", s.urls[s.now], err)
	}
	for _, kind := range []wire.Kind{wire.KindHit, wire.KindResult, wire.KindOutcome} {
		name := s.index + "-" + string(kind)
		body, err := json.Marshal(indexTemplate(name, s.period != "", about.Version.Distribution == "opensearch"))
		if err != nil {
			return err
		}
		status, said, err := s.do(ctx, http.MethodPut, "/_index_template/"+name, "application/json", body)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("put the index template %s: it answers %d%s; give the right to manage index templates, or set template to false and make it yourself", name, status, excerpt(said))
		}
	}
	s.ready = true
	return nil
}

func excerptText(s string) string {
	if r := []rune(s); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return s
}
