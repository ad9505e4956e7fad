package seal

import (
	"context"
	"crypto/rsa"
	"log/slog"
	"time"

	"github.com/aiedr/edr/wire"
)

// HTTPOptions says how an agent reaches its server.
type HTTPOptions struct {
	// Dir keeps the agent's identity: host.key, host.cert, keyset, commands.
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
	Counters Counters
}

// NewHTTPClient loads the identity of o.Dir, or prepares a new one. It does
// not talk to the server.
func NewHTTPClient(o HTTPOptions) (*HTTPClient, error) { return nil, ErrUnavailable }

// Enrolled says whether the server has signed this host's certificate.
func (c *HTTPClient) Enrolled() bool { return false }

// HostID is the id the server gave, "" before enrolment.
func (c *HTTPClient) HostID() string { return "" }

// Fingerprint is that of the host's key.
func (c *HTTPClient) Fingerprint() string { return "" }

// Enrol enrols the host where it is not; it returns at once where it is.
func (c *HTTPClient) Enrol(ctx context.Context) error { return ErrUnavailable }

// Open opens a session. Post, Poll and Answer do so where there is none.
func (c *HTTPClient) Open(ctx context.Context) error { return ErrUnavailable }

// Post delivers records of one outbox, in rising number, and returns the
// highest number up to which the server has all.
func (c *HTTPClient) Post(ctx context.Context, records []wire.Record) (ack uint64, err error) {
	return 0, ErrUnavailable
}

// Poll waits for commands. Those that it returns are verified and their serial
// and nonce are on disk; those refused are counted and told to Problem. Key
// rotation is obeyed inside and not returned.
func (c *HTTPClient) Poll(ctx context.Context) ([]wire.Command, error) { return nil, ErrUnavailable }

// Answer sends a part of a live query's answer.
func (c *HTTPClient) Answer(ctx context.Context, a wire.Answer) error { return ErrUnavailable }

// Now is the server's time as learned in the session, the machine's own
// before the first.
func (c *HTTPClient) Now() time.Time { return time.Time{} }

// Close ends idle connections and forgets the session.
func (c *HTTPClient) Close() error { return nil }

// ReadPublicKey reads an RSA public key, or a certificate with one, from PEM
// for -pubkey.
func ReadPublicKey(path string) (*rsa.PublicKey, error) { return nil, ErrUnavailable }
