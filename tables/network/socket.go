package network

import "net/netip"

// socket is an internet, packet or Unix socket of whichever source.
type socket struct {
	family, state         uint8
	protocol              uint16
	localPort, remotePort uint16
	uid                   uint32
	inode                 uint64
	ns                    uint64 // inode number of the network namespace
	local, remote         netip.Addr
	path                  string // of a Unix socket
}

// Address families and protocols as Linux numbers them.
const (
	familyUnix      = 1
	familyIPv4      = 2
	familyIPv6      = 10
	familyPacket    = 17
	protocolTCP     = 6
	protocolUDP     = 17
	protocolUDPLite = 136
	protocolRaw     = 255
)

// The states of TCP that the kernel numbers (include/net/tcp_states.h).
const (
	stateEstablished = 1
	stateSynRecv     = 3
	stateTimeWait    = 6
	stateClose       = 7
	stateListen      = 10
	stateNewSynRecv  = 12
)

var stateNames = [...]string{
	"UNKNOWN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
	"CLOSED", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "SYN_RECV",
}

// stateName names the state of a TCP socket as osquery does.
func (s *socket) stateName() string {
	if s.protocol != protocolTCP || s.family == familyPacket {
		return ""
	}
	if int(s.state) < len(stateNames) {
		return stateNames[s.state]
	}
	return stateNames[0]
}

// ownerKnown says whether uid means anything: the kernel keeps no owner for a
// connection that is not yet, or no longer, a whole socket.
func (s *socket) ownerKnown() bool { return s.inode != 0 }
