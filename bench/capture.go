//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/procsensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

const (
	captureExecs    = 5000
	captureSpawners = 8
)

// Capture executes a tiny static program 5,000 times by eight spawners in
// parallel and prints, for each mechanism that runs here, what share of the
// executions was seen, with the right arguments, what was lost, and what it
// cost. It does so free, and in a cgroup that gives the sensor 5 % of a core.
// The spawners are processes of their own, so that the cost is the sensor's.
func Capture(w io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("measure capture: needs root, since eBPF, audit and connector do")
	}
	dir, err := os.MkdirTemp("", "edr-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, what := tinyProgram(dir)
	fmt.Fprintf(w, "%d executions of %s by %d spawners\n", captureExecs, what, captureSpawners)
	fmt.Fprintf(w, "%-10s %-6s %10s %10s %8s %6s %6s %14s\n", "mechanism", "quota", "captured%", "argv ok%", "in order", "lost", "gaps", "CPU s/1,000")
	for _, mechanism := range []string{"ebpf", "audit", "connector"} {
		for _, quota := range []bool{false, true} {
			r, err := captureRound(dir, program, mechanism, quota)
			name := "none"
			if quota {
				name = "5%"
			}
			if err != nil {
				fmt.Fprintf(w, "%-10s %-6s not measured: %v\n", mechanism, name, err)
				continue
			}
			fmt.Fprintf(w, "%-10s %-6s %10.2f %10.2f %8s %6d %6d %14.4f\n", mechanism, name,
				100*float64(r.Captured)/captureExecs, 100*float64(r.Exact)/captureExecs, yes(r.Ordered), r.Lost, r.Gaps, r.CPU*1000/captureExecs)
		}
	}
	fmt.Fprintln(w, "CPU is that of the sensor's process, user and system; what the program costs in the kernel is in the spawners' time")
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// tinyProgram compiles a program that only ends: three instructions, no
// library, so that it is gone at once.
func tinyProgram(dir string) (path, what string) {
	src := filepath.Join(dir, "tiny.c")
	code := `void _start(void) {
#if defined(__x86_64__)
	__asm__ volatile("mov $60,%eax\n xor %edi,%edi\n syscall");
#elif defined(__aarch64__)
	__asm__ volatile("mov x8,#93\n mov x0,#0\n svc #0");
#else
#error not known here
#endif
}
`
	out := filepath.Join(dir, "tiny")
	if os.WriteFile(src, []byte(code), 0o600) == nil &&
		exec.Command("gcc", "-static", "-nostdlib", "-O1", "-o", out, src).Run() == nil {
		return out, "a static program of three instructions"
	}
	return "/bin/true", "/bin/true (no gcc to build a smaller one)"
}

// captureResult is what the sensor's process reports.
type captureResult struct {
	Captured, Exact int
	Ordered         bool
	Lost, Gaps      uint64
	CPU             float64 // seconds
	Err             string
}

// The environment that makes this program one of the measurement's parts.
const (
	captureEnv     = "EDR_BENCH_CAPTURE" // sensor or spawner
	captureProgram = "EDR_BENCH_PROGRAM"
	captureWhich   = "EDR_BENCH_MECHANISM"
	captureNumber  = "EDR_BENCH_SPAWNER"
)

// capturePart runs a part of the measurement if this process is one.
func capturePart() {
	switch os.Getenv(captureEnv) {
	case "sensor":
		captureSensor()
		os.Exit(0)
	case "spawner":
		captureSpawner()
		os.Exit(0)
	}
}

func captureRound(dir, program, mechanism string, quota bool) (r captureResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	env := append(os.Environ(), captureProgram+"="+program, captureWhich+"="+mechanism)
	sensorCmd := exec.Command(self)
	sensorCmd.Env = append(slices.Clone(env), captureEnv+"=sensor")
	sensorCmd.Stderr = os.Stderr
	in, err := sensorCmd.StdinPipe()
	if err != nil {
		return r, err
	}
	out, err := sensorCmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := sensorCmd.Start(); err != nil {
		return r, err
	}
	defer func() {
		_ = sensorCmd.Process.Kill()
		_ = sensorCmd.Wait()
	}()
	answers := json.NewDecoder(out)
	if err := answers.Decode(&r); err != nil {
		return r, err
	}
	if r.Err != "" {
		return r, errors.New(r.Err)
	}
	if quota {
		free, err := limitCPU(sensorCmd.Process.Pid, 5)
		if err != nil {
			return r, err
		}
		defer free()
	}
	var spawners sync.WaitGroup
	failed := make(chan error, captureSpawners)
	for i := range captureSpawners {
		cmd := exec.Command(self)
		cmd.Env = append(slices.Clone(env), captureEnv+"=spawner", captureNumber+"="+strconv.Itoa(i))
		cmd.Stderr = os.Stderr
		spawners.Go(func() {
			if err := cmd.Run(); err != nil {
				failed <- fmt.Errorf("spawner %d: %w", i, err)
			}
		})
	}
	spawners.Wait()
	select {
	case err := <-failed:
		return r, err
	default:
	}
	_ = in.Close()
	if err := answers.Decode(&r); err != nil {
		return r, fmt.Errorf("the sensor gave no result: %w", err)
	}
	return r, nil
}

// captureSpawner executes the program with arguments that tell which it was.
func captureSpawner() {
	number := os.Getenv(captureNumber)
	program := os.Getenv(captureProgram)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	files := []*os.File{null, null, null}
	for i := range captureExecs / captureSpawners {
		p, err := os.StartProcess(program, []string{"edr-bench", number, strconv.Itoa(i), "", "zwei Wörter\n"}, &os.ProcAttr{Files: files})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if _, err := p.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// captureCount checks events as they come and keeps none.
type captureCount struct {
	mu   sync.Mutex
	last map[string]int
	r    captureResult
}

func (c *captureCount) Publish(e event.Event) {
	x, ok := e.(*event.Exec)
	if !ok || x.Name != "tiny" && x.Name != "true" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.Captured++
	var argv []string
	if json.Unmarshal([]byte(x.Argv), &argv) != nil || len(argv) != 5 || argv[0] != "edr-bench" || argv[3] != "" || argv[4] != "zwei Wörter\n" {
		return
	}
	i, err := strconv.Atoi(argv[2])
	if err != nil {
		return
	}
	c.r.Exact++
	if last, seen := c.last[argv[1]]; seen && i <= last {
		c.r.Ordered = false
	}
	c.last[argv[1]] = i
}

func (c *captureCount) Lost(n uint64, cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.Lost += n
	c.r.Gaps++
}

// captureSensor runs one mechanism until its input ends.
func captureSensor() {
	answer := json.NewEncoder(os.Stdout)
	fail := func(err error) {
		_ = answer.Encode(captureResult{Err: err.Error()})
		os.Exit(0)
	}
	tree, err := proctree.New(proctree.Options{})
	if err != nil {
		fail(err)
	}
	i := slices.IndexFunc(procsensor.Spec(procsensor.Options{Tree: tree}).Mechanisms, func(m sensor.Mechanism) bool {
		return m.Name() == os.Getenv(captureWhich)
	})
	if i < 0 {
		fail(fmt.Errorf("there is no mechanism %q", os.Getenv(captureWhich)))
	}
	c := &captureCount{last: map[string]int{}, r: captureResult{Ordered: true}}
	run, err := procsensor.Spec(procsensor.Options{Tree: tree}).Mechanisms[i].Start(context.Background(), c)
	if err != nil {
		fail(err)
	}
	before := processCPU()
	_ = answer.Encode(captureResult{})
	_, _ = io.Copy(io.Discard, os.Stdin)
	// What is on its way comes within the drain interval; the audit hands its
	// backlog on as fast as it is let.
	last, still := -1, 0
	for range 240 {
		time.Sleep(500 * time.Millisecond)
		c.mu.Lock()
		now := c.r.Captured
		c.mu.Unlock()
		if now == last {
			still++
		} else {
			last, still = now, 0
		}
		if now >= captureExecs || still == 6 {
			break
		}
	}
	cpu := processCPU() - before
	if err := run.Close(); err != nil {
		fail(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.CPU = cpu.Seconds()
	_ = answer.Encode(c.r)
}

// limitCPU puts a process into a cgroup of its own that gives it a percentage
// of one core, and returns what takes it out again.
func limitCPU(pid, percent int) (free func(), err error) {
	const period = 100000
	quota := strconv.Itoa(period / 100 * percent)
	type way struct {
		parent string
		files  [][2]string
	}
	for _, v := range []way{
		{"/sys/fs/cgroup", [][2]string{{"cpu.max", quota + " " + strconv.Itoa(period)}}},
		{"/sys/fs/cgroup/cpu", [][2]string{{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", quota}}},
	} {
		dir := filepath.Join(v.parent, "edr-bench-"+strconv.Itoa(pid))
		if e := os.Mkdir(dir, 0o755); e != nil {
			err = e
			continue
		}
		e := func() error {
			for _, f := range v.files {
				if e := writeExisting(filepath.Join(dir, f[0]), f[1]); e != nil {
					return e
				}
			}
			return writeExisting(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
		}()
		if e == nil {
			return func() {
				_ = writeExisting(filepath.Join(v.parent, "cgroup.procs"), strconv.Itoa(pid))
				_ = unix.Rmdir(dir)
			}, nil
		}
		_ = unix.Rmdir(dir)
		err = e
	}
	return nil, fmt.Errorf("no cgroup to limit the CPU in: %w", err)
}

func writeExisting(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
