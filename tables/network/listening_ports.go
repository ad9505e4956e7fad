package network

import "github.com/aiedr/edr/tables"

// Listener is a row of listening_ports.
type Listener struct {
	PID          int64  `col:"pid,type=INTEGER" doc:"Process ID; -1 for a socket that no process holds."`
	Port         int32  `col:"port" doc:"Local port; 0 for Unix sockets."`
	Protocol     int32  `col:"protocol" doc:"Protocol number: 6 TCP, 17 UDP, 0 for Unix sockets."`
	Family       int32  `col:"family" doc:"Address family: 2 IPv4, 10 IPv6, 1 Unix."`
	Address      string `col:"address" doc:"Address that the socket is bound to."`
	FD           int64  `col:"fd" doc:"Lowest file descriptor of the process that is the socket; -1 without a process."`
	Socket       int64  `col:"socket" doc:"Inode number of the socket."`
	Path         string `col:"path" doc:"Path of a Unix socket."`
	NetNamespace string `col:"net_namespace" doc:"Inode number of the network namespace."`
}

// ListeningPorts is osquery's table of bound sockets without a peer.
var ListeningPorts = tables.New(tables.Spec[Listener]{
	Name: "listening_ports", Doc: "TCP sockets that listen, UDP sockets without a peer, and Unix sockets with a path.",
	Examples: []string{
		"SELECT p.name, l.address, l.port FROM listening_ports l JOIN processes p USING (pid) WHERE l.family != 1",
	},
	Class: tables.Network, Platforms: tables.Linux,
	Scan: scanListeners,
})
