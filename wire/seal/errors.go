package seal

import (
	"errors"
	"maps"
	"sync"
)

// Refusal is a named reason to do nothing with a message. The name is part of
// the protocol: a peer may send it, counters and vectors use it.
type Refusal struct {
	Name string // such as "tampered"
	text string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Name + ": " + r.text }

// The refusals. Callers test for them with errors.Is.
var (
	ErrMalformed      = &Refusal{"malformed", "the bytes are no message of this protocol"}
	ErrVersion        = &Refusal{"version", "the message is of a protocol version that this side does not speak"}
	ErrTruncated      = &Refusal{"truncated", "the message ends too early"}
	ErrOversized      = &Refusal{"oversized", "the message is larger than the protocol allows"}
	ErrTampered       = &Refusal{"tampered", "the message does not match its authentication tag"}
	ErrReplayed       = &Refusal{"replayed", "the message or its sequence number was seen before"}
	ErrWrongChannel   = &Refusal{"wrong channel", "the message belongs to another channel or direction"}
	ErrWrongKey       = &Refusal{"wrong key", "the message was sealed to a key that this side does not hold"}
	ErrWrongHost      = &Refusal{"wrong host", "the message names another host"}
	ErrBadSignature   = &Refusal{"bad signature", "the signature is not by the key that it must be by"}
	ErrWrongRoot      = &Refusal{"wrong root", "the key set is signed by another root than the one trusted"}
	ErrBadEndorsement = &Refusal{"bad endorsement", "the key set is not endorsed by the public key that was given"}
	ErrNoTrust        = &Refusal{"no trust", "neither a root fingerprint nor a public key says which key set to accept"}
	ErrExpired        = &Refusal{"expired", "its time is over"}
	ErrNotYet         = &Refusal{"not yet valid", "its time has not come"}
	ErrSerialFell     = &Refusal{"serial fell", "its serial is not above the last one accepted"}
	ErrNonceSeen      = &Refusal{"nonce seen", "its nonce was used before"}
	ErrUnknownSession = &Refusal{"unknown session", "no such session here: open a new one"}
	ErrSessionOver    = &Refusal{"session over", "the session reached its limit of time or messages: open a new one"}
	ErrUnknownKeySet  = &Refusal{"unknown key set", "the server no longer holds the keys of that serial: fetch the key set"}
	ErrUnknownHost    = &Refusal{"unknown host", "no host is enrolled with that key"}
	ErrPending        = &Refusal{"pending", "the host waits for an operator to admit it"}
	ErrRemoved        = &Refusal{"removed", "an operator removed the host"}
	ErrTokenRefused   = &Refusal{"token refused", "the enrol secret is unknown, used up or expired: make a new one"}
	ErrBadToken       = &Refusal{"bad token", "the enrol token is damaged: copy it whole"}
	ErrGap            = &Refusal{"gap", "numbers are missing and no gap record explains them"}
	ErrUnavailable    = &Refusal{"unavailable", "the server cannot take it now: try again later"}
)

// Refusals lists all of them, for counters, documents and tests.
func Refusals() []*Refusal {
	return []*Refusal{
		ErrMalformed, ErrVersion, ErrTruncated, ErrOversized, ErrTampered, ErrReplayed, ErrWrongChannel,
		ErrWrongKey, ErrWrongHost, ErrBadSignature, ErrWrongRoot, ErrBadEndorsement, ErrNoTrust,
		ErrExpired, ErrNotYet, ErrSerialFell, ErrNonceSeen, ErrUnknownSession, ErrSessionOver,
		ErrUnknownKeySet, ErrUnknownHost, ErrPending, ErrRemoved, ErrTokenRefused, ErrBadToken,
		ErrGap, ErrUnavailable,
	}
}

// RefusalName is the name of the refusal in err's chain, "" where there is
// none.
func RefusalName(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Name
	}
	return ""
}

// Counters counts refusals by name. The zero value is ready.
type Counters struct {
	mu sync.Mutex
	n  map[string]uint64
}

// Add counts err; one that is no refusal counts as "other", nil not at all.
func (c *Counters) Add(err error) {
	if err == nil {
		return
	}
	name := RefusalName(err)
	if name == "" {
		name = "other"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]uint64{}
	}
	c.n[name]++
}

// Map is a copy of the counts by name.
func (c *Counters) Map() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

// Total is the sum of all counts.
func (c *Counters) Total() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var t uint64
	for _, n := range c.n {
		t += n
	}
	return t
}
