package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	psnet "github.com/shirou/gopsutil/v3/net"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/network"
)

// The sockets of our own that a snapshot of connections is made to have: each
// holder has both ends of its connections, all on loopback.
const (
	benchHolders     = 5
	benchConnections = 1000 // of each holder
)

// holdEnv makes this program a holder of sockets instead.
const holdEnv = "EDR_BENCH_HOLD_SOCKETS"

// Connections prints the processor time of one snapshot of all sockets with
// their processes: our table, gopsutil, and ss.
func Connections(w io.Writer) error {
	stop, err := startHolders()
	defer stop()
	if err != nil {
		return err
	}
	root, err := tables.DirRoot("/")
	if err != nil {
		return err
	}
	host := &tables.Host{Root: root, Now: time.Now, Kept: &tables.Kept{}} // as in the agent
	defer host.Kept.Close()
	plain := &tables.Host{Root: root, Now: time.Now}
	methods := []struct {
		name string
		runs int
		run  func() (int, time.Duration, error)
	}{
		{"connections, all columns", 20, func() (int, time.Duration, error) { return timeTable(host, network.Connections, nil) }},
		{"/proc alone, all columns", 20, func() (int, time.Duration, error) { return timeTable(plain, network.Connections, nil) }},
		{"gopsutil v3", 3, func() (int, time.Duration, error) {
			before := processCPU()
			all, err := psnet.Connections("inet")
			return len(all), processCPU() - before, err
		}},
		{"ss -tuanp", 5, func() (int, time.Duration, error) {
			cmd := exec.Command("ss", "-tuanp")
			out, err := cmd.Output()
			if err != nil {
				return 0, 0, fmt.Errorf("run ss: %w", err)
			}
			return bytes.Count(out, []byte("\n")) - 1, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
		}},
	}
	first := 0.0
	for i, m := range methods {
		if _, err := exec.LookPath("ss"); err != nil && i == 3 {
			fmt.Fprintln(w, "ss is not installed here")
			continue
		}
		best, rows := time.Duration(0), 0
		for n := range m.runs {
			r, cpu, err := m.run()
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if n == 0 || cpu < best {
				best = cpu
			}
			rows = r
		}
		ms := best.Seconds() * 1000
		fmt.Fprintf(w, "%-26s %5d rows %8.2f ms CPU, the least of %d", m.name, rows, ms, m.runs)
		if i == 0 {
			first = ms
			fmt.Fprintln(w)
		} else {
			fmt.Fprintf(w, "   ratio %.1f\n", ms/first)
		}
	}
	return nil
}

// startHolders starts the processes that hold the sockets; each ends when its
// input does.
func startHolders() (stop func(), err error) {
	var ends []func()
	stop = func() {
		for _, end := range ends {
			end()
		}
	}
	self, err := os.Executable()
	if err != nil {
		return stop, err
	}
	for range benchHolders {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), holdEnv+"=1")
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return stop, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return stop, err
		}
		if err := cmd.Start(); err != nil {
			return stop, fmt.Errorf("start a holder of sockets: %w", err)
		}
		ends = append(ends, func() {
			in.Close()
			_ = cmd.Wait()
		})
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			return stop, fmt.Errorf("a holder of sockets did not start: %q, %v", line, err)
		}
	}
	return stop, nil
}

// holdSockets is the holder: it connects to itself and waits for its input's end.
func holdSockets() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var open []net.Conn
	for range benchConnections {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			return err
		}
		a, err := l.Accept()
		if err != nil {
			return err
		}
		open = append(open, c, a)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	for _, c := range open {
		c.Close()
	}
	return err
}
