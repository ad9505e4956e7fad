package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/eventlog"
	"github.com/aiedr/edr/tables/sensor/filesensor"
)

// The operations: in each of filesDirs new folders each file is created,
// written to, renamed and deleted.
const (
	filesDirs = 100
	filesEach = 75
	filesOps  = filesDirs * filesEach * 4
	filesEnv  = "EDR_BENCH_FILES"
)

// Files prints how many of 30,000 changes to files the mechanisms see, how
// many with the process that made them, and what that costs.
func Files(w io.Writer) error {
	if dir := os.Getenv(filesEnv); dir != "" {
		return filesLoad(dir) // we are the process that makes the changes
	}
	fmt.Fprintf(w, "%-30s %9s %9s %14s %12s\n", "", "captured", "with pid", "CPU us per op", "log B/event")
	mechanisms := filesensor.Mechanisms(filesensor.Options{Dirs: []string{os.TempDir()}})
	for i := range mechanisms {
		for _, how := range []filesHow{{}, {logged: true}, {logged: true, hashed: true}} {
			if err := filesRun(w, i, how); err != nil {
				fmt.Fprintf(w, "%-30s %v\n", mechanisms[i].Name(), err)
				break
			}
		}
	}
	fmt.Fprintf(w, "%d operations in %d new folders; CPU of the sensor's process, user and system\n", filesOps, filesDirs)
	return nil
}

// filesBase is a place for the files: memory, where there is some, so that
// other users of the disk do not count.
func filesBase() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// filesHow says what is done with the events: hashing is not paced here, so
// that its whole cost is seen.
type filesHow struct{ logged, hashed bool }

func filesRun(w io.Writer, mechanism int, how filesHow) error {
	dir, err := os.MkdirTemp(filesBase(), "edr-bench-files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	mech := filesensor.Mechanisms(filesensor.Options{Dirs: []string{dir}, Hash: filesensor.Hashing{Off: !how.hashed}})[mechanism]
	sink := &filesSink{dir: dir}
	name := mech.Name()
	var log *eventlog.Log
	if how.hashed {
		name += ", hashed,"
	}
	if how.logged {
		name += " to event log"
		logDir, err := os.MkdirTemp("", "edr-bench-log-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(logDir)
		if log, err = eventlog.Open(eventlog.Options{Dir: logDir}); err != nil {
			return err
		}
		defer log.Close()
		sink.log = log
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	before := processCPU()
	m := sensor.NewManager([]sensor.Spec{{Name: "file", Tables: []string{"file_events"}, Mechanisms: []sensor.Mechanism{mech}}}, sink, sensor.Options{})
	m.Start(ctx)
	defer m.Close()
	if s := m.Status()[0]; s.State == sensor.StateFailed {
		return errors.New(s.Detail)
	}
	pid, err := filesChild(ctx, dir)
	if err != nil {
		return err
	}
	for !sink.ended() && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	if log != nil {
		if err := log.Sync(); err != nil {
			return err
		}
	}
	cpu := processCPU() - before
	captured, withPid := sink.tell(pid)
	size := ""
	if log != nil {
		s := log.Stats()
		size = fmt.Sprintf("%12.0f", float64(s.WrittenBytes)/float64(max(s.Recorded, 1)))
	}
	fmt.Fprintf(w, "%-30s %8.2f%% %8.2f%% %14.1f %12s\n", name, 100*float64(captured)/filesOps, 100*float64(withPid)/filesOps,
		float64(cpu.Microseconds())/filesOps, size)
	if s := m.Status()[0]; s.Gaps > 0 {
		fmt.Fprintf(w, "%-30s %s\n", "", s.Detail)
	}
	return nil
}

// filesChild runs this program again as the one that changes files.
func filesChild(ctx context.Context, dir string) (pid int64, err error) {
	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, exe, "files")
	cmd.Env = append(os.Environ(), filesEnv+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("change files: %w: %s", err, out)
	}
	return int64(cmd.Process.Pid), nil
}

func filesName(dir string, d, i int, kind string) string {
	return fmt.Sprintf("%s/d%d/e%d/%s%d", dir, d%10, d, kind, i)
}

func filesLoad(dir string) error {
	for d := range filesDirs {
		if err := os.MkdirAll(filepath.Dir(filesName(dir, d, 0, "a")), 0o755); err != nil {
			return err
		}
		for i := range filesEach {
			a, b := filesName(dir, d, i, "a"), filesName(dir, d, i, "b")
			f, err := os.OpenFile(a, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			f.Close()
			if err := os.WriteFile(a, []byte("x"), 0o600); err != nil {
				return err
			}
			if err := os.Rename(a, b); err != nil {
				return err
			}
			if err := os.Remove(b); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(dir+"/end", nil, 0o600)
}

// filesSink keeps what comes, and hands it on to a log if there is one.
type filesSink struct {
	dir string
	log *eventlog.Log

	mu     sync.Mutex
	events []*event.File
	end    bool
}

// Append implements sensor.Log.
func (s *filesSink) Append(events []event.Event) error {
	s.mu.Lock()
	for _, e := range events {
		f := e.(*event.File)
		s.events = append(s.events, f)
		s.end = s.end || f.TargetPath == s.dir+"/end"
	}
	s.mu.Unlock()
	if s.log == nil {
		return nil
	}
	return s.log.Append(events)
}

// Gap implements sensor.Log.
func (s *filesSink) Gap(tables []string, from, to time.Time, reason string) {
	if s.log != nil {
		s.log.Gap(tables, from, to, reason)
	}
}

func (s *filesSink) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// tell counts the operations that were seen, and those with the right process.
func (s *filesSink) tell(pid int64) (captured, withPid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type op struct{ action, path string }
	seen := make(map[op]bool, len(s.events))
	for _, e := range s.events {
		k := op{e.Action, e.TargetPath}
		seen[k] = seen[k] || e.PID == pid
	}
	for d := range filesDirs {
		for i := range filesEach {
			a, b := filesName(s.dir, d, i, "a"), filesName(s.dir, d, i, "b")
			for _, k := range []op{{event.FileCreated, a}, {event.FileUpdated, a}, {event.FileMovedFrom, a}, {event.FileDeleted, b}} {
				right, ok := seen[k]
				if ok {
					captured++
				}
				if right {
					withPid++
				}
			}
		}
	}
	return captured, withPid
}
