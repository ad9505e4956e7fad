package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// The agent's figures at rest are taken over restMeasure after restWarm, in
// which it reads the machine for the first time.
const (
	restWarm    = 20 * time.Second
	restMeasure = 60 * time.Second
)

// Rest measures the agent at rest: default content, all sensors on, no server.
// Whatever else runs on the machine makes events, and is measured with it: the
// figures are of this machine in this minute.
func Rest(w io.Writer) error {
	dir, err := os.MkdirTemp("", "edr-bench-rest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "edr-agent")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/agent").CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	cmd := exec.Command(bin, "-data", filepath.Join(dir, "data"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	time.Sleep(restWarm)
	before, err := readUse(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("the agent did not stay up: %w\n%s", err, log.String())
	}
	began := time.Now()
	time.Sleep(restMeasure)
	after, err := readUse(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("the agent did not stay up: %w\n%s", err, log.String())
	}
	cpu := after.cpu - before.cpu
	percent := 100 * float64(cpu) / float64(time.Since(began))
	fmt.Fprintf(w, "agent at rest, default content, all sensors, %s after %s of warm-up\n", restMeasure, restWarm)
	fmt.Fprintf(w, "  CPU   %6.2f %% of a core   (goal 0.3: %.2f of it)\n", percent, percent/0.3)
	fmt.Fprintf(w, "  RSS   %6.1f MiB           (goal 45: %.2f of it); peak %.1f MiB\n", after.rss, after.rss/45, after.peak)
	fmt.Fprintf(w, "  events in that time are part of it: %s\n", strconv.Quote(lastStatus(bin, filepath.Join(dir, "data"))))
	return nil
}

type use struct {
	cpu       time.Duration
	rss, peak float64 // MiB
}

// readUse reads utime and stime (fields 14 and 15, in ticks of 10 ms) of
// /proc/PID/stat, and VmRSS and VmHWM of status.
func readUse(pid int) (use, error) {
	var u use
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	for _, i := range []int{11, 12} {
		n, err := strconv.ParseInt(string(f[i]), 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(n) * 10 * time.Millisecond
	}
	if b, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err != nil {
		return u, err
	}
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(string(f[1]), 64)
		switch string(f[0]) {
		case "VmRSS:":
			u.rss = kib / 1024
		case "VmHWM:":
			u.peak = kib / 1024
		}
	}
	return u, nil
}

// lastStatus is what the agent says of its sensors, in one line.
func lastStatus(bin, data string) string {
	out, err := exec.Command(bin, "query", "-data", data, "-csv", "SELECT group_concat(name || ' ' || events, ', ') AS events FROM edr_sensors").Output()
	if err != nil {
		return err.Error()
	}
	if _, line, ok := bytes.Cut(bytes.TrimSpace(out), []byte("\n")); ok {
		return string(line)
	}
	return string(out)
}
