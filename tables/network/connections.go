package network

import "github.com/aiedr/edr/tables"

// Connection is a row of connections.
type Connection struct {
	PID           tables.Opt[int64]  `col:"pid,index,optimized,type=INTEGER" doc:"Process ID; NULL for a socket that no process holds (any more), such as one in TIME_WAIT."`
	FD            tables.Opt[int64]  `col:"fd" doc:"Lowest file descriptor of the process that is the socket; NULL without a process."`
	Socket        int64              `col:"socket" doc:"Inode number of the socket; 0 where it has none."`
	Family        int32              `col:"family" doc:"Address family: 2 IPv4, 10 IPv6, 17 for a packet socket, which sees the frames of the link layer."`
	Protocol      int32              `col:"protocol" doc:"Protocol number: 6 TCP, 17 UDP, 136 UDP-Lite, 255 for a raw socket, whose own protocol is the local port; of a packet socket that of the link layer, 3 for all."`
	LocalAddress  string             `col:"local_address" doc:"Local address; empty for a packet socket."`
	LocalPort     int32              `col:"local_port" doc:"Local port."`
	RemoteAddress string             `col:"remote_address" doc:"Remote address; 0.0.0.0 or :: where there is none."`
	RemotePort    int32              `col:"remote_port" doc:"Remote port, 0 where there is none."`
	State         string             `col:"state" doc:"State of a TCP socket, such as ESTABLISHED, LISTEN or TIME_WAIT; empty for the others."`
	NetNamespace  string             `col:"net_namespace" doc:"Inode number of the network namespace."`
	UID           tables.Opt[int64]  `col:"uid" doc:"User ID that owns the socket; NULL for states in which the kernel does not keep it."`
	Name          tables.Opt[string] `col:"name" doc:"Short name of the process; NULL without one."`
	Path          tables.Opt[string] `col:"path" doc:"Path of the process's executed file; NULL without a process."`
	Cmdline       tables.Opt[string] `col:"cmdline" doc:"Command line of the process; NULL without one."`
	Parent        tables.Opt[int64]  `col:"parent" doc:"Process ID of the process's parent; NULL without a process."`
	StartNS       tables.Opt[int64]  `col:"start_time_ns" doc:"Start of the process in nanoseconds since boot, rounded down to the clock tick (10 ms); NULL without a process."`
	ContainerID   tables.Opt[string] `col:"container_id" doc:"Container ID of the process, empty outside one; NULL without a process."`
}

// Connections is the table of internet sockets with their processes.
var Connections = tables.New(tables.Spec[Connection]{
	Name: "connections", Doc: "TCP, UDP, raw and packet sockets of every state and network namespace, with the processes that hold them; one row for each socket and process.",
	Examples: []string{
		"SELECT pid, name, path, remote_address, remote_port FROM connections WHERE state = 'ESTABLISHED'",
		"SELECT pid, path, family, protocol FROM connections WHERE protocol = 255 OR family = 17",
		"SELECT pid, path, local_address, local_port FROM connections WHERE state = 'LISTEN' AND local_address NOT IN ('127.0.0.1', '::1')",
	},
	Class: tables.Network, Platforms: tables.Linux, Ours: true,
	Scan: scanConnections,
})
