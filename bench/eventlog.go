package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor/eventlog"
)

const logEvents = 200_000

// EventLog prints what recording an execution costs in time and on disk, when
// events come thick and when a few come each second, and what reading costs.
func EventLog(w io.Writer) error {
	for _, c := range []struct {
		name    string
		events  int
		perSync int
	}{{"in a storm", logEvents, 1000}, {"5 a second", 2000, 5}} {
		if err := logRun(w, c.name, c.events, c.perSync); err != nil {
			return err
		}
	}
	return nil
}

func logRun(w io.Writer, name string, n, perSync int) error {
	dir, err := os.MkdirTemp("", "edr-bench-log-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log, err := eventlog.Open(eventlog.Options{Dir: dir, SyncEvery: time.Hour})
	if err != nil {
		return err
	}
	defer log.Close()
	batches := make([][]event.Event, 0, n/perSync)
	r := rand.New(rand.NewPCG(1, 2))
	for len(batches)*perSync < n {
		batch := make([]event.Event, perSync)
		for i := range batch {
			batch[i] = logExec(r, len(batches)*perSync+i)
		}
		batches = append(batches, batch)
	}
	before := processCPU()
	for i, b := range batches {
		if err := log.Append(b); err != nil {
			return err
		}
		if perSync < 100 || i%16 == 0 {
			if err := log.Sync(); err != nil {
				return err
			}
		}
	}
	if err := log.Sync(); err != nil {
		return err
	}
	recording := processCPU() - before
	s := log.Stats()

	before, began := processCPU(), time.Now()
	read := 0
	for rec, err := range log.Read(context.Background(), tables.EventQuery{Table: "process_events"}) {
		if err != nil {
			return err
		}
		if _, err := event.Decode("process_events", rec); err != nil {
			return err
		}
		read++
	}
	if read != int(s.Recorded) {
		return fmt.Errorf("read %d events of %d", read, s.Recorded)
	}
	fmt.Fprintf(w, "%-12s %7d executions: recorded for %.2f us CPU and %.0f bytes on disk each; read whole for %.2f us CPU each, %.0f a second\n",
		name, n, float64(recording.Nanoseconds())/1e3/float64(n), float64(s.WrittenBytes)/float64(n),
		float64((processCPU()-before).Nanoseconds())/1e3/float64(n), float64(n)/time.Since(began).Seconds())
	return nil
}

// logExec is an execution as a shell script, a build or cron makes them:
// programs recur, their arguments, numbers and times differ.
func logExec(r *rand.Rand, i int) *event.Exec {
	programs := []string{"ls", "grep", "sed", "awk", "cat", "date", "curl", "gcc", "cc1", "as", "ld", "git", "python3", "sh", "dpkg", "systemctl"}
	p := programs[r.IntN(len(programs))]
	arg := fmt.Sprintf("%x", r.Uint64()>>uint(r.IntN(50)))
	e := &event.Exec{
		Name: p, Cmdline: fmt.Sprintf("%s -n --file=/home/user%d/src/%s.c %d", p, r.IntN(5), arg, r.IntN(1e6)),
		Argv: fmt.Sprintf(`["%s","-n","--file=/home/user%d/src/%s.c","%d"]`, p, r.IntN(5), arg, r.IntN(1e6)),
		Mode: "0755", CWD: "/home/user1/src", AUID: 1000, UID: 1000, EUID: 1000, GID: 1000, EGID: 1000, SUID: 1000, SGID: 1000,
		FSUID: 1000, FSGID: 1000, Parent: int64(1000 + r.IntN(30000)), ParentStart: r.Int64N(1e15), Syscall: "execve",
		ATime: 1_760_000_000 + int64(r.IntN(1000)), MTime: 1_750_000_000, CTime: 1_750_000_000, BTime: 1_750_000_000, Uptime: int64(i / 100),
	}
	e.CmdlineSize = int64(len(e.Cmdline) + 1)
	e.PID, e.StartTime, e.Path, e.CgroupID = int64(1000+i%4_000_000), int64(i)*1_000_003, "/usr/bin/"+p, 4242
	e.ParentName, e.ParentPath, e.ParentCmd, e.Source = "bash", "/usr/bin/bash", "bash build.sh "+arg[:1], "ebpf"
	e.At(time.Unix(1_800_000_000, int64(i)*1_234_567))
	return e
}
