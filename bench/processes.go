package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/shirou/gopsutil/v3/process"

	"github.com/aiedr/edr/tables"
	tableprocess "github.com/aiedr/edr/tables/process"
)

// benchProcesses is how many processes of our own a snapshot is made to have.
const benchProcesses = 600

// Processes prints the processor time of one snapshot of all processes: our
// table with all columns by the kernel's list and by /proc alone, the same
// facts by gopsutil, and ps.
func Processes(w io.Writer) error {
	stop, err := spawnSleepers(benchProcesses)
	defer stop()
	if err != nil {
		return err
	}
	root, err := tables.DirRoot("/")
	if err != nil {
		return err
	}
	// As in the agent, which keeps the kernel's list loaded, and as in a query
	// without one, which reads /proc.
	host := &tables.Host{Root: root, Now: time.Now, Kept: &tables.Kept{}}
	plain := &tables.Host{Root: root, Now: time.Now}
	defer host.Kept.Close()
	methods := []struct {
		name string
		runs int
		run  func() (rows int, cpu time.Duration, err error)
	}{
		{"processes, all columns", 20, func() (int, time.Duration, error) { return timeTable(host, tableprocess.Processes, nil) }},
		{"processes, pid name path", 20, func() (int, time.Duration, error) {
			return timeTable(host, tableprocess.Processes, []string{"pid", "name", "path"})
		}},
		{"/proc alone, all columns", 20, func() (int, time.Duration, error) { return timeTable(plain, tableprocess.Processes, nil) }},
		{"/proc, pid name path", 20, func() (int, time.Duration, error) {
			return timeTable(plain, tableprocess.Processes, []string{"pid", "name", "path"})
		}},
		{"gopsutil v3", 3, timeGopsutil},
		{"ps", 5, timePS},
	}
	cpus := make([]float64, len(methods))
	for i, m := range methods {
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
		cpus[i] = best.Seconds() * 1000
		fmt.Fprintf(w, "%-26s %4d rows %8.2f ms CPU, the least of %d", m.name, rows, cpus[i], m.runs)
		if i > 0 {
			fmt.Fprintf(w, "   ratio to all columns %.1f", cpus[i]/cpus[0])
		}
		fmt.Fprintln(w)
	}
	return nil
}

// spawnSleepers starts n processes that do nothing; stop ends each by its own
// handle and waits for it.
func spawnSleepers(n int) (stop func(), err error) {
	var started []*exec.Cmd
	stop = func() {
		for _, cmd := range started {
			_ = cmd.Process.Kill()
		}
		for _, cmd := range started {
			_ = cmd.Wait()
		}
	}
	for range n {
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			return stop, fmt.Errorf("start a sleeping process: %w", err)
		}
		started = append(started, cmd)
	}
	return stop, nil
}

// timeTable reads a table through the batches that the engine gets; no columns
// named means all.
func timeTable(host *tables.Host, table *tables.Table, columns []string) (int, time.Duration, error) {
	q := &tables.Query{Host: host}
	for i := range table.Columns {
		if columns == nil {
			q.Columns = append(q.Columns, i)
		}
	}
	for _, c := range columns {
		q.Columns = append(q.Columns, table.ColumnIndex(c))
	}
	before := processCPU()
	rows := 0
	for b, err := range table.Batches(context.Background(), q) {
		if err != nil {
			return rows, 0, err
		}
		rows += b.Rows
	}
	return rows, processCPU() - before, nil
}

// timeGopsutil reads the same facts by gopsutil, as far as it has them.
func timeGopsutil() (int, time.Duration, error) {
	before := processCPU()
	procs, err := process.Processes()
	if err != nil {
		return 0, 0, err
	}
	for _, p := range procs {
		// What ended meanwhile or cannot be read is an error; the others count.
		_, _ = p.Name()
		_, _ = p.Exe()
		_, _ = p.Cmdline()
		_, _ = p.Status()
		_, _ = p.Cwd()
		_, _ = p.Uids()
		_, _ = p.Gids()
		_, _ = p.Username()
		_, _ = p.MemoryInfo()
		_, _ = p.Times()
		_, _ = p.IOCounters()
		_, _ = p.CreateTime()
		_, _ = p.Ppid()
		_, _ = p.NumThreads()
		_, _ = p.Nice()
	}
	return len(procs), processCPU() - before, nil
}

// timePS runs ps with the columns that it shares with the table.
func timePS() (int, time.Duration, error) {
	cmd := exec.Command("ps", "ww", "-eo", "pid,ppid,pgid,uid,euid,suid,gid,egid,sgid,user,stat,nice,nlwp,rss,vsz,cputimes,lstart,comm,cgroup,args")
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("run ps: %w", err)
	}
	lines := 0
	for _, c := range out {
		if c == '\n' {
			lines++
		}
	}
	return lines - 1, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
