package agent

import (
	"context"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/wire"
)

// healthEvery is how often the agent reports how it is; a change of a sensor's
// state is reported within healthLook.
const (
	healthEvery = time.Minute
	healthLook  = 5 * time.Second
)

// vitals watches the agent itself.
type vitals struct {
	a       *Agent
	lastCPU time.Duration
	lastAt  time.Time
	states  map[string]string
	wake    chan struct{}
}

func newVitals(a *Agent) *vitals {
	return &vitals{a: a, lastAt: a.started, states: map[string]string{}, wake: make(chan struct{}, 1)}
}

func (v *vitals) run(ctx context.Context) {
	ticker := time.NewTicker(healthLook)
	defer ticker.Stop()
	var reported time.Time
	for {
		changed := v.changed()
		if changed || v.a.now().Sub(reported) >= healthEvery {
			reported = v.a.now()
			if err := v.a.report.Health(v.measure()); err != nil {
				v.a.problems.tell("health", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-v.wake:
			reported = time.Time{}
		}
	}
}

// soon has the health reported at once: the server waits to see a
// configuration taken.
func (v *vitals) soon() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// changed says whether a sensor's state, or what it has lost, is not as it was.
func (v *vitals) changed() bool {
	changed := false
	for _, s := range v.a.sensors.Status() {
		state := s.State + " " + s.Mechanism
		if s.Lost > 0 || s.Gaps > 0 {
			state += " lossy"
		}
		if v.states[s.Name] != state {
			changed = true
			v.states[s.Name] = state
		}
	}
	return changed
}

func (v *vitals) measure() wire.Health {
	now := v.a.now()
	use, err := usage()
	if err != nil {
		v.a.problems.tell("health", err)
	}
	gov := v.a.governor.Stats()
	h := wire.Health{
		Time: now, Version: v.a.version, Uptime: int64(now.Sub(v.a.started).Seconds()),
		CPULimit: gov.Limit, CaptureCPU: gov.Capture, RSS: use.rss,
		Respond: v.a.settings.Respond, ConfigSerial: v.a.config.serial(),
	}
	if wall := now.Sub(v.lastAt); wall > 0 {
		h.CPUPercent = 100 * float64(use.cpu-v.lastCPU) / float64(wall)
	}
	v.lastCPU, v.lastAt = use.cpu, now
	for _, s := range v.a.sensors.Status() {
		h.Sensors = append(h.Sensors, wireSensor(s))
	}
	if v.a.box != nil {
		st := v.a.box.Stats()
		h.OutboxRecords, h.OutboxDropped = st.Records, st.Dropped
	}
	if v.a.client != nil {
		h.Refused = v.a.client.Counters.Total()
	}
	return h
}

func wireSensor(s tables.SensorStatus) wire.Sensor {
	return wire.Sensor{Name: s.Name, Table: s.Table, State: s.State, Mechanism: s.Mechanism, Detail: s.Detail,
		Events: s.Events, Lost: s.Lost, Gaps: s.Gaps, LastEvent: s.LastEvent}
}

// Status is what `edr-agent status` shows.
type Status struct {
	Health wire.Health `json:"health"`
	Host   string      `json:"host,omitempty"`
	Server string      `json:"server,omitempty"`
	// Config is the hash of the configuration in force.
	Config  string       `json:"config"`
	Rules   int          `json:"rules"`
	Hits    uint64       `json:"hits"`
	Outbox  any          `json:"outbox,omitempty"`
	Events  any          `json:"events"`
	Refused any          `json:"refused,omitempty"`
	Queries []queryState `json:"queries"`
	// Acts are the lasting effects of responses.
	Acts standing `json:"acts"`
}

type queryState struct {
	Name       string  `json:"name"`
	Executions int64   `json:"executions"`
	WallMS     float64 `json:"wall_ms"`
	CPUMS      float64 `json:"cpu_ms"`
	Denylisted bool    `json:"denylisted,omitempty"`
	Error      string  `json:"error,omitempty"`
}

func (a *Agent) status() any {
	v := newVitals(a)
	s := Status{Health: v.measure(), Server: a.settings.Server, Hits: a.detector.hits.Load(), Events: a.events.Stats(), Queries: []queryState{}}
	s.Config, _ = a.config.hash()
	s.Acts = a.standing()
	if set := a.detector.rules.Load(); set != nil {
		s.Rules = len(set.Rules())
	}
	if a.box != nil {
		s.Outbox = a.box.Stats()
	}
	if a.client != nil {
		s.Host, s.Refused = a.client.HostID(), a.client.Counters.Map()
	}
	for _, q := range a.packs.stats() {
		s.Queries = append(s.Queries, queryState{Name: q.Name, Executions: q.Executions,
			WallMS: float64(q.Wall.Microseconds()) / 1000, CPUMS: float64((q.User + q.System).Microseconds()) / 1000,
			Denylisted: q.Denylisted, Error: q.LastError})
	}
	return s
}
