package seal

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/aiedr/edr/wire"
)

// Fingerprint is the SHA-256 of an Ed25519 public key in hexadecimal. That of
// a host's key is the host's identity.
func Fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

// HostState says whether a host may speak.
type HostState string

// The states.
const (
	HostAdmitted HostState = "admitted"
	HostPending  HostState = "pending" // enrolled without a token; an operator decides
	HostRemoved  HostState = "removed"
)

// Host is what seal needs to know of an enrolled host. The key is the
// identity; the id is the name that the server gave it.
type Host struct {
	ID    string
	Key   ed25519.PublicKey
	State HostState
}

// Fingerprint is that of the host's key.
func (h Host) Fingerprint() string { return Fingerprint(h.Key) }

// Enrolment is a verified request: whoever sent it holds Key. Details are
// what the host says of itself and select nothing.
type Enrolment struct {
	Key         ed25519.PublicKey
	Fingerprint string
	// Secret is the enrol token's; empty where the host has only the
	// server's public key and is to be pending.
	Secret string
	// ProposedID is random and fit to be the new host's id.
	ProposedID string
	Details    wire.HostDetails
	Remote     string // the peer's address as the caller gave it
	Time       time.Time
}

// HostStore is where the server keeps hosts and enrol secrets.
type HostStore interface {
	// Host finds a host by the fingerprint of its key; ErrUnknownHost where
	// there is none, in any state.
	Host(ctx context.Context, fingerprint string) (Host, error)
	// Enrol checks and consumes the secret and adds the host, all or
	// nothing. A key that is already there is answered as it stands and
	// consumes nothing, except that a valid secret admits a pending host.
	// An unknown, used up or expired secret is ErrTokenRefused.
	Enrol(ctx context.Context, e Enrolment) (Host, error)
}

// Received is a record as it arrived.
type Received struct {
	Record wire.Record
	// Bytes are the record's JSON as the host sent it, Hash their SHA-256.
	Bytes []byte
	Hash  [32]byte
}

// Held is what a store has of one outbox of a host.
type Held struct {
	// Known says whether the outbox was seen before; Others whether other
	// outboxes of the host were.
	Known, Others bool
	// Contiguous is the highest number up to which every number is kept or
	// was declared dropped.
	Contiguous uint64
	// Hashes are those of the kept records among the numbers asked for; a
	// number has more than one where a conflict was kept.
	Hashes map[uint64][][32]byte
}

// Delivery is what a store shall keep of one batch, in one transaction. It is
// idempotent: one (host key, outbox, number, hash) is kept once.
type Delivery struct {
	Host      Host
	Outbox    string
	NewOutbox bool
	// Records are new; Conflicts bear numbers already kept with another hash.
	Records   []Received
	Conflicts []Received
	// Gaps are the ranges of numbers that the host dropped, as of now.
	Gaps []wire.Gap
	// Contiguous is the new value of Held.Contiguous.
	Contiguous uint64
	Time       time.Time
}

// ReceiverStore keeps what hosts deliver.
type ReceiverStore interface {
	// Held answers for one outbox of a host, named by the fingerprint of its
	// key. Hashes may be left out above Contiguous; for an outbox in order
	// from is above it and there are none to look up.
	Held(ctx context.Context, host Host, outbox string, from, to uint64) (Held, error)
	// Keep stores a delivery and the new Contiguous in one transaction. It
	// must bear that another server kept the same records meanwhile.
	Keep(ctx context.Context, d Delivery) error
}

// EventKind says what an Event tells.
type EventKind string

// The kinds of Event.
const (
	EventEnrolled  EventKind = "enrolled"   // a host enrolled or asked again
	EventPending   EventKind = "pending"    // a host enrolled without a token
	EventSession   EventKind = "session"    // the first message of a new session arrived
	EventRefused   EventKind = "refused"    // a message was refused; Err says why
	EventClone     EventKind = "clone"      // two sessions of one host key are used in turn
	EventConflict  EventKind = "conflict"   // a number came again with other content
	EventGap       EventKind = "gap"        // a host dropped records
	EventNewOutbox EventKind = "new outbox" // a host that had an outbox begins another
)

// Event is something that the operator or the log should know. Host is zero
// where it is not known.
type Event struct {
	Kind    EventKind
	Time    time.Time
	Host    Host
	Remote  string
	Session string // session id in hexadecimal
	Outbox  string
	Number  uint64
	Detail  string
	Err     error
}
