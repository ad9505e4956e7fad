package seal

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

const (
	handshakeTimeout = 60 * time.Second
	postTimeout      = 2 * time.Minute
	pollTimeout      = MaxPollWait + 20*time.Second
)

// HTTPOptions says how an agent reaches its server.
type HTTPOptions struct {
	// Dir keeps the agent's identity: host.key, host.cert, keyset, root and
	// commands.json.
	Dir string
	// Server is the base address; a token's where empty.
	Server string
	// Token is the enrol token; nil where the agent has none.
	Token *Token
	// PublicKey is the server's RSA key as given by -pubkey.
	PublicKey *rsa.PublicKey
	// CertFile names an extra CA or server certificate in PEM to trust for TLS.
	CertFile string
	// Insecure leaves out the check of the TLS certificate, and nothing else.
	Insecure bool
	// Details is asked at enrolment.
	Details func() wire.HostDetails
	// Problem is told what an operator should know; may be nil.
	Problem func(source string, err error)
	Log     *slog.Logger
}

// HTTPClient is the agent's side of the protocol over HTTPS. Its methods may
// be called from several goroutines; those of one channel wait for each other.
type HTTPClient struct {
	// Counters counts what this side refused, Told what the server says that it
	// refused, by name; the latter is not authenticated, and a server that was
	// started anew says "unknown session" to everybody.
	Counters, Told Counters

	o        HTTPOptions
	base     string
	identity *Identity
	client   *Client
	extra    []*x509.Certificate

	channel [channels]sync.Mutex

	tmu       sync.Mutex
	transport *http.Client
	pinned    *KeySet // whose CAs transport trusts

	opening sync.Mutex // one handshake at a time
	pace    pacer
}

// NewHTTPClient loads the identity of o.Dir, or prepares a new one. It does
// not talk to the server.
func NewHTTPClient(o HTTPOptions) (*HTTPClient, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Problem == nil {
		o.Problem = func(string, error) {}
	}
	if o.Details == nil {
		o.Details = func() wire.HostDetails { return wire.HostDetails{} }
	}
	if o.Server == "" && o.Token != nil {
		o.Server = o.Token.Address
	}
	o.Server = strings.TrimRight(o.Server, "/")
	if err := checkAddress(o.Server); err != nil {
		return nil, fmt.Errorf("reach the server: %w", err)
	}
	c := &HTTPClient{o: o, base: o.Server}
	if o.CertFile != "" {
		certs, err := readCertificates(o.CertFile)
		if err != nil {
			return nil, err
		}
		c.extra = certs
	}
	id, err := OpenIdentity(o.Dir, o.Problem, o.Log)
	if err != nil {
		return nil, err
	}
	c.identity = id
	given := Trust{PublicKey: o.PublicKey}
	if o.Token != nil {
		root := o.Token.Root
		given.Root = &root
	}
	c.client = NewClient(id, given)
	return c, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: name the server's certificate or its CA in PEM", path, err)
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w: copy the certificate from the server again", path, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("read %s: no certificate in PEM is in it: name the server's certificate or its CA", path)
	}
	return certs, nil
}

// Enrolled says whether the server has signed this host's certificate.
func (c *HTTPClient) Enrolled() bool { return c.identity.HostID() != "" }

// HostID is the id the server gave, "" before enrolment.
func (c *HTTPClient) HostID() string { return c.identity.HostID() }

// Fingerprint is that of the host's key.
func (c *HTTPClient) Fingerprint() string { return c.identity.Fingerprint() }

// Now is the server's time as learned in the session, the machine's own before
// the first.
func (c *HTTPClient) Now() time.Time { return c.client.Now() }

// Close ends idle connections and forgets the session.
func (c *HTTPClient) Close() error {
	c.tmu.Lock()
	defer c.tmu.Unlock()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	c.client.session = nil
	return nil
}

func newTransport(t *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: t,
			// One connection waits in a poll, one posts, one answers. They are
			// kept longer than the pauses between posts.
			MaxIdleConnsPerHost:   3,
			IdleConnTimeout:       10 * time.Minute,
			TLSHandshakeTimeout:   20 * time.Second,
			ResponseHeaderTimeout: pollTimeout,
			WriteBufferSize:       8 << 10,
			ReadBufferSize:        8 << 10,
			DisableCompression:    true,
		},
		// The server never sends an agent elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// pinnedClient trusts the CAs of the key set that is held and the extra one.
func (c *HTTPClient) pinnedClient() *http.Client {
	c.tmu.Lock()
	defer c.tmu.Unlock()
	k := c.identity.KeySet()
	if c.transport != nil && c.pinned == k {
		return c.transport
	}
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	pool := x509.NewCertPool()
	if k != nil {
		for _, ca := range k.cas {
			pool.AddCert(ca)
		}
	}
	for _, x := range c.extra {
		pool.AddCert(x)
	}
	c.transport = newTransport(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, InsecureSkipVerify: c.o.Insecure})
	c.pinned = k
	return c.transport
}

// do posts a request and returns the reply's body, whatever its status: the
// body says for itself what it is.
func (c *HTTPClient) do(ctx context.Context, h *http.Client, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s%s: %w", c.base, path, err)
	}
	req.Header.Set("Content-Type", ContentType)
	resp, err := h.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s%s: %w", c.base, path, err)
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("read the answer of %s%s: %w", c.base, path, ErrOversized)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), ContentType) && !bytes.HasPrefix(b, []byte("EDR")) {
		// No refusal: it is no message of a server's, so a session stays.
		return nil, fmt.Errorf("ask %s%s: the answer is %q with status %d, not one of an edr server: check the address and what stands between",
			c.base, path, resp.Header.Get("Content-Type"), resp.StatusCode)
	}
	return b, nil
}

// fetchKeySet gets the key set. TLS is not checked here, because the CA to
// check it by is in the key set, which the root signed.
func (c *HTTPClient) fetchKeySet(ctx context.Context) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	h := newTransport(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	defer h.CloseIdleConnections()
	b, err := c.do(ctx, h, PathKeys, nil)
	if err != nil {
		return false, fmt.Errorf("fetch the server's key set: %w", err)
	}
	changed, err = c.client.AcceptKeySet(b)
	if err != nil {
		return false, fmt.Errorf("fetch the server's key set: %w", err)
	}
	return changed, nil
}

// ask asks with the pinned TLS. Where the server has a certificate that the
// held key set does not vouch for, a newer key set may.
func (c *HTTPClient) ask(ctx context.Context, timeout time.Duration, path string, body []byte) ([]byte, error) {
	rctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	b, err := c.do(rctx, c.pinnedClient(), path, body)
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		return b, err
	}
	changed, ferr := c.fetchKeySet(ctx)
	if ferr != nil || !changed {
		return nil, errors.Join(fmt.Errorf("%w: give the server's CA with -cert", err), ferr)
	}
	return nil, errKeySetChanged
}

// errKeySetChanged asks the caller to make its request anew.
var errKeySetChanged = errors.New("the server's key set changed: ask again")

// Enrol enrols the host where it is not; it returns at once where it is. A
// host without token is pending afterwards: opening a session says so.
func (c *HTTPClient) Enrol(ctx context.Context) error {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.Enrolled() {
		return nil
	}
	return c.count(c.enrol(ctx))
}

// count counts a refusal. A server that cannot be reached and a call that was
// given up are none.
func (c *HTTPClient) count(err error) error {
	var told *peerRefusal
	switch {
	case errors.As(err, &told):
		c.Told.Add(err)
	case RefusalName(err) != "":
		c.Counters.Add(err)
	}
	return err
}

func (c *HTTPClient) enrol(ctx context.Context) error {
	secret := ""
	if c.o.Token != nil {
		secret = c.o.Token.Secret
	}
	if t := c.identity.trust(c.client.given); t.Root == nil && t.PublicKey == nil {
		return fmt.Errorf("enrol: %w: give an enrol token with -enroll-file or EDR_ENROLL, or the server's key with -pubkey", ErrNoTrust)
	}
	for try := 0; ; try++ {
		// The key set is fetched even if one is held, because the server may
		// have a new one since.
		if _, err := c.fetchKeySet(ctx); err != nil {
			return fmt.Errorf("enrol: %w", err)
		}
		request, finish, err := c.client.EnrolRequest(secret, c.o.Details())
		if err != nil {
			return fmt.Errorf("enrol: %w", err)
		}
		reply, err := c.ask(ctx, handshakeTimeout, PathEnrol, request)
		if errors.Is(err, errKeySetChanged) && try == 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("enrol: %w", err)
		}
		state, err := finish(reply)
		if err != nil {
			return fmt.Errorf("enrol: %w", err)
		}
		c.o.Log.Info("the host is enrolled", "host", c.HostID(), "state", state, "server", c.base)
		return nil
	}
}

// Open opens a session in place of the present one. Post, Poll and Answer do
// so by themselves where there is none.
func (c *HTTPClient) Open(ctx context.Context) error {
	c.opening.Lock()
	defer c.opening.Unlock()
	return c.open(ctx)
}

// session is the present session, or a new one.
func (c *HTTPClient) session(ctx context.Context) (*clientSession, error) {
	if s := c.client.current(); s != nil {
		return s, nil
	}
	c.opening.Lock()
	defer c.opening.Unlock()
	if s := c.client.current(); s != nil {
		return s, nil // another channel opened it meanwhile
	}
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	if s := c.client.current(); s != nil {
		return s, nil
	}
	return nil, ErrUnknownSession
}

// open makes the handshake; the caller holds opening.
func (c *HTTPClient) open(ctx context.Context) error {
	if err := c.pace.wait(ctx); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	for try := 0; ; try++ {
		err := c.openOnce(ctx)
		if err == nil {
			return nil
		}
		c.count(err)
		if RefusalName(err) == "" {
			c.pace.unreached()
		}
		if try > 0 {
			return err
		}
		switch {
		case errors.Is(err, errKeySetChanged):
		case isRefusedBy(err, ErrUnknownKeySet, ErrWrongKey), errors.Is(err, ErrExpired) && !isRefusedBy(err, ErrExpired),
			errors.Is(err, ErrUnknownKeySet):
			changed, ferr := c.fetchKeySet(ctx)
			if ferr != nil || !changed {
				_ = c.count(ferr) // err was counted above: a key set that is refused is one more
				return errors.Join(err, ferr)
			}
		case isRefusedBy(err, ErrUnknownHost), c.identity.certificate() == nil:
			// The server lost this host, or this host its certificate. With
			// what vouches for both, it enrols again with the same key.
			if c.o.Token == nil && c.o.PublicKey == nil {
				return err
			}
			if eerr := c.enrol(ctx); eerr != nil {
				return errors.Join(err, eerr)
			}
		default:
			return err
		}
	}
}

func (c *HTTPClient) openOnce(ctx context.Context) error {
	request, finish, err := c.client.OpenRequest()
	if err != nil {
		return err
	}
	reply, err := c.ask(ctx, handshakeTimeout, PathOpen, request)
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	return finish(reply)
}
