// Package agent is the endpoint put together: the only place that knows all
// parts of it.
package agent

import "time"

// Settings are the agent's, checked by whoever read them.
type Settings struct {
	// Server is the fleet server's https address; empty to work alone.
	Server string
	// Interval is the pace of polling sensors and of queries that name none.
	Interval time.Duration
	Dirs     []string // watched by the file sensor
	Regs     []string // watched registry keys; Windows only
	// CertFile is a further certificate to trust for TLS.
	CertFile string
	// Insecure leaves the TLS certificate unverified, never the seal.
	Insecure bool
	// PublicKeyFile is the server's RSA key that may endorse a key set.
	PublicKeyFile string
	QuarantineDir string
	CPULimit      float64 // percent of one core
	Debug         bool
	Data          string // folder of the state
	EnrolToken    string
	// Respond is how far rules may act: observe, approve or auto.
	Respond string
	// RecorderBytes and RecorderAge bound the record of events; 0 is 256 MiB
	// and 24 h.
	RecorderBytes int64
	RecorderAge   time.Duration
	// Content is a file or folder of packs and rules for an agent without a
	// server; empty for the built-in ones.
	Content string
}
