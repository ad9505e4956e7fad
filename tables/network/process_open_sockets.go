package network

import "github.com/aiedr/edr/tables"

// OpenSocket is a row of process_open_sockets.
type OpenSocket struct {
	PID           int64  `col:"pid,additional,optimized,type=INTEGER" doc:"Process ID; -1 for a socket that no process holds."`
	FD            int64  `col:"fd" doc:"Lowest file descriptor of the process that is the socket; -1 without a process."`
	Socket        int64  `col:"socket" doc:"Inode number of the socket."`
	Family        int32  `col:"family" doc:"Address family: 2 IPv4, 10 IPv6, 1 Unix."`
	Protocol      int32  `col:"protocol" doc:"Protocol number: 6 TCP, 17 UDP, 0 for Unix sockets."`
	LocalAddress  string `col:"local_address" doc:"Local address; empty for Unix sockets."`
	RemoteAddress string `col:"remote_address" doc:"Remote address; empty for Unix sockets."`
	LocalPort     int32  `col:"local_port" doc:"Local port."`
	RemotePort    int32  `col:"remote_port" doc:"Remote port."`
	Path          string `col:"path" doc:"Path of a Unix socket; a name in the abstract space starts with @."`
	State         string `col:"state" doc:"State of a TCP socket; empty for the others."`
	NetNamespace  string `col:"net_namespace" doc:"Inode number of the network namespace."`
}

// ProcessOpenSockets is osquery's table of sockets.
var ProcessOpenSockets = tables.New(tables.Spec[OpenSocket]{
	Name: "process_open_sockets", Doc: "TCP, UDP and Unix sockets with the processes that hold them; one row for each socket and process.",
	Examples: []string{
		"SELECT * FROM process_open_sockets WHERE pid = 1",
		"SELECT p.path, s.remote_address FROM process_open_sockets s JOIN processes p USING (pid) WHERE s.remote_port = 443",
	},
	Class: tables.Network, Platforms: tables.Linux,
	Scan: scanOpenSockets,
})
