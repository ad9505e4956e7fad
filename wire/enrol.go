package wire

import "encoding/json"

// HostDetails is what a host says of itself at enrolment. It is shown and
// searched, and never selects secrets, policy or rights.
type HostDetails struct {
	Hostname     string `json:"hostname"`
	UUID         string `json:"uuid"`
	OS           string `json:"os"`       // "Debian GNU/Linux 12 (bookworm)"
	Platform     string `json:"platform"` // "linux", "windows"
	Arch         string `json:"arch"`
	Kernel       string `json:"kernel"`
	CPU          string `json:"cpu"`
	Memory       int64  `json:"memory_bytes"`
	AgentVersion string `json:"agent_version"`
	// Schema is the tables of this agent as tables.Schema lists them.
	Schema json.RawMessage `json:"schema,omitempty"`
}
