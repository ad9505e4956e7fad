package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The storm: stormRate executions a second for stormTime, with a query that
// would take hours without a limit.
const (
	stormRate  = 300
	stormTime  = 60 * time.Second
	stormLimit = 5.0 // percent of one core, -cpulimit
	stormQuery = "SELECT count(*) AS n FROM processes a, processes b, processes c, processes d"
)

// Storm measures an agent with -cpulimit 5 under 300 executions a second and a
// query without end, for a minute: its CPU against the limit and what capture
// costs, what was lost, how the query ended, and how long an alert took.
func Storm(w io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("measure a storm: needs root, since the kernel's events do")
	}
	dir, err := os.MkdirTemp("", "edr-bench-storm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "edr-agent")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/agent").CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	program, what := tinyProgram(dir)
	target := filepath.Join(dir, "edr-storm-alert")
	if err := copyFile(program, target); err != nil {
		return err
	}
	rule := filepath.Join(dir, "rule.json")
	text := `{"id": "storm", "name": "storm", "type": "process", "severity": "low", "enabled": true, "conditions": ["name startswith 'edr-storm'"], "actions": ["alert"]}`
	if err := os.WriteFile(rule, []byte(text), 0o600); err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	cmd := exec.Command(bin, "-data", data, "-content", rule, "-dirs", dir, "-cpulimit", fmt.Sprint(stormLimit))
	var log bytes.Buffer
	hits := newHitClock()
	cmd.Stdout, cmd.Stderr = hits, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	time.Sleep(restWarm / 2)
	before, err := agentStatus(bin, data)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, log.String())
	}
	use0, err := readUse(cmd.Process.Pid)
	if err != nil {
		return err
	}
	began := time.Now()
	query := make(chan string, 1)
	go func() {
		out, err := exec.Command(bin, "query", "-data", data, "-csv", "-deadline", "50s", stormQuery).CombinedOutput()
		said := strings.Join(strings.Fields(string(out)), " ")
		if err != nil {
			said = "ended with an error that says so: " + said
		}
		query <- fmt.Sprintf("after %.0f s: %s", time.Since(began).Seconds(), said)
	}()
	made, alerts := 0, map[string]time.Time{}
	for slot := 0; time.Since(began) < stormTime; slot++ {
		// Ten bursts a second; every fifth second one that gives an alert.
		for range stormRate / 10 {
			if err := exec.Command(program).Run(); err != nil && !isExit(err) {
				return fmt.Errorf("execute %s: %w", program, err)
			}
			made++
		}
		if slot%50 == 25 {
			mark := fmt.Sprintf("storm-%d", slot)
			alerts[mark] = time.Now()
			if err := exec.Command(target, mark).Run(); err != nil && !isExit(err) {
				return fmt.Errorf("execute %s: %w", target, err)
			}
			made++
		}
		time.Sleep(time.Until(began.Add(time.Duration(slot+1) * 100 * time.Millisecond)))
	}
	use1, err := readUse(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("the agent did not stay up: %w\n%s", err, log.String())
	}
	took := time.Since(began)
	after, err := agentStatus(bin, data)
	if err != nil {
		return err
	}
	said := "did not end a minute after its deadline of 50 s"
	select {
	case said = <-query:
	case <-time.After(time.Minute):
	}
	percent := 100 * float64(use1.cpu-use0.cpu) / float64(took)
	fmt.Fprintf(w, "%d executions of %s in %.0f s (%.0f/s), and a query without end; -cpulimit %g\n",
		made, what, took.Seconds(), float64(made)/took.Seconds(), stormLimit)
	capture := after.Health.CaptureCPU
	fmt.Fprintf(w, "  CPU of the agent  %6.2f %% of a core: limit %.1f + capture %.2f (as status shows it) = %.2f; ratio %.2f\n",
		percent, stormLimit, capture, stormLimit+capture, percent/(stormLimit+capture))
	seen, lost := after.events("process")-before.events("process"), after.lost()-before.lost()
	fmt.Fprintf(w, "  process events    %6d (executions and exits of the whole machine; at least %d are ours), lost by any sensor: %d\n", seen, 2*made, lost)
	fmt.Fprintf(w, "  query             %s\n", said)
	var worst time.Duration
	missing := 0
	for mark, at := range alerts {
		if d, ok := hits.after(mark, at, 10*time.Second); ok {
			worst = max(worst, d)
		} else {
			missing++
		}
	}
	fmt.Fprintf(w, "  alerts            %d of %d came, the slowest after %.0f ms\n", len(alerts)-missing, len(alerts), float64(worst)/1e6)
	if lost > 0 || missing > 0 {
		return fmt.Errorf("%d events and %d alerts were lost", lost, missing)
	}
	return nil
}

func isExit(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e)
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// stormStatus is what edr-agent status says, so far as it is looked at here.
type stormStatus struct {
	Health struct {
		Uptime     float64 `json:"uptime_s"`
		CaptureCPU float64 `json:"capture_cpu"`
		Sensors    []struct {
			Name               string
			Events, Lost, Gaps int64
		} `json:"sensors"`
	} `json:"health"`
}

func agentStatus(bin, data string) (s stormStatus, err error) {
	out, err := exec.Command(bin, "status", "-data", data).Output()
	if err != nil {
		return s, fmt.Errorf("ask the agent for its status: %w", err)
	}
	return s, json.Unmarshal(out, &s)
}

func (s stormStatus) events(sensor string) int64 {
	for _, x := range s.Health.Sensors {
		if x.Name == sensor {
			return x.Events
		}
	}
	return 0
}

func (s stormStatus) lost() (n int64) {
	for _, x := range s.Health.Sensors {
		n += x.Lost + x.Gaps
	}
	return n
}

// hitClock notes when the agent printed what.
type hitClock struct {
	mu   sync.Mutex
	text bytes.Buffer
	at   []arrival
}

type arrival struct {
	end  int // of the text by then
	when time.Time
}

func newHitClock() *hitClock { return &hitClock{} }

// Write is called by the copy of the agent's standard output.
func (h *hitClock) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(b)
	h.at = append(h.at, arrival{h.text.Len(), time.Now()})
	return len(b), nil
}

// after is how long after began a hit with that text was printed; it waits for
// it for at most the time given.
func (h *hitClock) after(mark string, began time.Time, most time.Duration) (time.Duration, bool) {
	for deadline := time.Now().Add(most); ; time.Sleep(50 * time.Millisecond) {
		h.mu.Lock()
		i := bytes.Index(h.text.Bytes(), []byte(mark+`"`))
		if i >= 0 {
			for _, a := range h.at {
				if a.end > i {
					h.mu.Unlock()
					return a.when.Sub(began), true
				}
			}
		}
		h.mu.Unlock()
		if time.Now().After(deadline) {
			return 0, false
		}
	}
}
