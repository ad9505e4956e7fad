package seal

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/aiedr/edr/wire"
)

// KeyOptions says where a server's keys are and which the operator gave.
type KeyOptions struct {
	// Dir holds root.key, online keys and key sets; made where it is absent.
	Dir string
	// RSAKeyFile is an RSA private key in PEM (PKCS #1 or #8, 2048 bits or
	// more) to use as sealing key; one of 3072 bits is made where it is empty.
	RSAKeyFile string
	// CertFile and KeyFile are a TLS certificate that the operator brings;
	// where they are empty a CA of our own issues one.
	CertFile, KeyFile string
	Now               func() time.Time
	Rand              io.Reader
	Log               *slog.Logger
}

// ServerKeys are the server's root and online keys, present and previous.
type ServerKeys struct {
	rsa  *rsa.PrivateKey
	root ed25519.PublicKey
}

// OpenServerKeys loads the keys of a folder and makes those that are missing;
// made lists the files it wrote, to be told to the operator.
func OpenServerKeys(o KeyOptions) (k *ServerKeys, made []string, err error) {
	return nil, nil, ErrUnavailable
}

// Rotate makes new online keys and a key set with the next serial, signed by
// the root; the former keys stay good for the overlap.
func (k *ServerKeys) Rotate() error { return ErrUnavailable }

// Token makes an enrol token for a server address with a new secret. Store
// the secret's hash; the text is shown once.
func (k *ServerKeys) Token(address string) (Token, error) { return Token{}, ErrUnavailable }

// TLS is the server's certificate for the given DNS names and addresses.
func (k *ServerKeys) TLS(names ...string) (tls.Certificate, error) {
	return tls.Certificate{}, ErrUnavailable
}

// CAPEM is the CA that agents pin, for edrctl and browsers.
func (k *ServerKeys) CAPEM() []byte { return nil }

// PublicKeyPEM is the RSA sealing key, for the agents' -pubkey.
func (k *ServerKeys) PublicKeyPEM() []byte { return nil }

// RootFingerprint is the SHA-256 of the root's public key.
func (k *ServerKeys) RootFingerprint() [32]byte { return [32]byte{} }

// Serial is that of the present key set.
func (k *ServerKeys) Serial() uint64 { return 0 }

// Token is the content of an enrol token.
type Token struct {
	Address string
	Secret  string
	Root    [32]byte // SHA-256 of the root's public key
}

// String is the token's text.
func (t Token) String() string { return "" }

// ParseToken reads a token's text; spaces around it do not matter.
func ParseToken(text string) (Token, error) { return Token{}, ErrBadToken }

// ServerOptions says what a Server stands on.
type ServerOptions struct {
	Keys     *ServerKeys
	Hosts    HostStore
	Receiver ReceiverStore
	// Events is called for each Event, from many goroutines; it must not block.
	Events func(Event)
	// MaxSessions bounds the session table; 0 is 100,000.
	MaxSessions int
	Now         func() time.Time
	Rand        io.Reader
}

// Server answers agents. It takes request bodies and returns reply bodies, so
// that an HTTP handler has nothing to decide.
type Server struct {
	Counters Counters
}

// Reply is what to send back. Body is to be sent whatever Err is: it may be a
// refusal. Err is for the log.
type Reply struct {
	Status int // HTTP status
	Body   []byte
	Host   Host // who asked, where the message proved it
	Err    error
}

// SignedCommand is a command's exact bytes with the server's signature.
type SignedCommand []byte

// PollInfo is what an agent says when it polls.
type PollInfo struct {
	// Taken is the highest command serial that the host accepted: commands
	// up to it have arrived and need not be sent again.
	Taken uint64
}

// NewServer makes a Server.
func NewServer(o ServerOptions) (*Server, error) { return nil, ErrUnavailable }

// HandleKeys answers with the present key set; body is not looked at.
func (s *Server) HandleKeys(ctx context.Context, body []byte) Reply { return Reply{} }

// HandleEnrol enrols a host. remote is the peer's address, for the store.
func (s *Server) HandleEnrol(ctx context.Context, body []byte, remote string) Reply { return Reply{} }

// HandleOpen opens a session.
func (s *Server) HandleOpen(ctx context.Context, body []byte, remote string) Reply { return Reply{} }

// HandlePost takes a batch of records into the ReceiverStore.
func (s *Server) HandlePost(ctx context.Context, body []byte) Reply { return Reply{} }

// WaitFunc answers a poll: it returns the host's commands in rising serial,
// at once or when there are some, and none when ctx ends, which is after
// MaxPollWait at the latest. An error makes the agent try again.
type WaitFunc func(ctx context.Context, host Host, info PollInfo) ([]SignedCommand, error)

// HandlePoll answers a poll with commands.
func (s *Server) HandlePoll(ctx context.Context, body []byte, wait WaitFunc) Reply { return Reply{} }

// HandleAnswer takes a part of a live query's answer. The agent sends it
// again if take fails, so take must bear a part twice.
func (s *Server) HandleAnswer(ctx context.Context, body []byte, take func(context.Context, Host, wire.Answer) error) Reply {
	return Reply{}
}

// SignCommand signs a command with the present command key. The caller sets
// all fields; serials of one host must rise and be sent in rising order.
func (s *Server) SignCommand(c wire.Command) (SignedCommand, error) { return nil, ErrUnavailable }

// EndSessions forgets the sessions of a host, when it is removed.
func (s *Server) EndSessions(fingerprint string) {}

// ReadBody reads a request body within the bound of its path; the error is
// ErrOversized beyond it.
func ReadBody(r *http.Request) ([]byte, error) { return nil, ErrUnavailable }

// RefusalReply is the reply to a request that cannot even be handled.
func RefusalReply(err error) Reply { return Reply{} }
