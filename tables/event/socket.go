package event

// Socket is a connection opened, accepted or closed, or a socket bound: a row
// of socket_events.
type Socket struct {
	Header
	Actor
	Action        string `col:"action" doc:"connect, accept, bind, listen or close."`
	Name          string `col:"name,ours" doc:"Short name of the process."`
	Cmdline       string `col:"cmdline,ours" doc:"Command line of the process."`
	Parent        int64  `col:"parent,ours" doc:"Process ID of the parent."`
	UID           int64  `col:"uid,ours" doc:"User ID of the process."`
	FD            string `col:"fd" doc:"File descriptor of the socket, where known."`
	AUID          int64  `col:"auid" doc:"Audit user ID (the user who logged on)."`
	Status        string `col:"status" doc:"succeeded, failed, in_progress or no_client."`
	Family        int32  `col:"family" doc:"Address family: 2 IPv4, 10 IPv6, 1 Unix."`
	Protocol      int32  `col:"protocol,hidden" doc:"Protocol number: 6 TCP, 17 UDP."`
	LocalAddress  string `col:"local_address" doc:"Local address."`
	RemoteAddress string `col:"remote_address" doc:"Remote address."`
	LocalPort     int32  `col:"local_port" doc:"Local port."`
	RemotePort    int32  `col:"remote_port" doc:"Remote port."`
	Socket        string `col:"socket,hidden" doc:"Path of a Unix socket."`
	Cookie        uint64 `col:"cookie,ours,hidden" doc:"Kernel cookie of the socket; a close carries its connection's."`
	Duration      int64  `col:"duration_ns,ours" doc:"For a close: life of the connection in nanoseconds, where its opening was seen."`
	Uptime        int64  `col:"uptime" doc:"Time of the event in seconds since boot."`
	Success       int32  `col:"success,hidden" doc:"1 if the call succeeded, or for a non-blocking connect is under way."`
}

// Table is the name of the table.
func (*Socket) Table() string { return "socket_events" }
