// Package seal carries the plain messages of package wire between agent and
// server so that nobody between them reads or forges one: keys and trust,
// enrolment, sessions, sealed records, signed commands, and delivery that
// keeps each record once. SPEC.md describes every byte; testdata/vectors
// holds examples of each message and each failure.
//
// An agent uses HTTPClient, a server Server; both stand on functions that take
// and return bytes, so that another transport or another language can do the
// same.
package seal

import "time"

// The paths of the agent protocol. All are POST.
const (
	PathKeys   = "/agent/v1/keys"
	PathEnrol  = "/agent/v1/enrol"
	PathOpen   = "/agent/v1/open"
	PathPost   = "/agent/v1/post"
	PathPoll   = "/agent/v1/poll"
	PathAnswer = "/agent/v1/answer"
)

// ContentType is that of every request and reply body.
const ContentType = "application/x-edr-sealed"

// The bounds of the protocol. A message beyond them is refused as
// ErrOversized before more than its bound is read or unpacked.
const (
	MaxMessage   = 8 << 20  // bytes of a sealed message
	MaxPlain     = 64 << 20 // bytes of a body after decompression
	MaxHandshake = 256 << 10
	MaxRecords   = 65536   // records in one batch
	MaxRecord    = 4 << 20 // bytes of a record's JSON: it fits a message however little it compresses
	MaxCommands  = 256     // commands in one poll reply
	MaxCommand   = 4 << 20

	// SessionLife and SessionMessages end a session, whichever comes first.
	SessionLife     = time.Hour
	SessionMessages = 1 << 20 // in each direction of each channel

	// MaxPollWait is how long a server holds a poll.
	MaxPollWait = 50 * time.Second
)
