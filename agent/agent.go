package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aiedr/edr/response"
	"github.com/aiedr/edr/scheduler/governor"
	"github.com/aiedr/edr/scheduler/outbox"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/all"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/eventlog"
	"github.com/aiedr/edr/wire/seal"
)

// Agent is a running endpoint agent.
type Agent struct {
	settings Settings // as they were when the agent started
	own      Settings // without what the server sets
	last     lastConfiguration
	log      *slog.Logger
	version  string
	started  time.Time
	instance string

	events   *eventlog.Log
	host     *tables.Host
	engine   *engine.Engine
	governor *governor.Governor
	sensors  *sensor.Manager
	capture  *sensor.Meter
	box      *outbox.Outbox
	client   *seal.HTTPClient // nil without a server
	report   reporter
	problems *problems
	detector *detector
	stream   *stream
	packs    *packs
	policy   *policy
	config   *configured
	health   *vitals
	closers  []func() error
}

// New puts an agent together from its settings and takes its data folder.
// Hits of an agent without a server go to out.
func New(s Settings, version string, out io.Writer, log *slog.Logger) (*Agent, error) {
	a := &Agent{settings: s, log: log, version: version, started: time.Now(), capture: &sensor.Meter{}}
	if err := a.open(out); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *Agent) open(out io.Writer) error {
	s := a.settings
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	a.instance = hex.EncodeToString(id[:])
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("-data: %w", err)
	}
	lock, err := lockData(s.Data)
	if err != nil {
		return err
	}
	a.closing(lock.Close)
	a.readLast()
	s = a.settings
	if a.governor, err = governor.New(s.CPULimit); err != nil {
		return err
	}
	if err := a.openReports(out); err != nil {
		return err
	}
	if err := a.openTables(); err != nil {
		return err
	}
	a.policy = newPolicy(s.Respond)
	if err := a.openSensors(); err != nil {
		return err
	}
	if err := a.openDetection(); err != nil {
		return err
	}
	a.health = newVitals(a)
	return nil
}

func (a *Agent) closing(f func() error) { a.closers = append(a.closers, f) }

// close lets go of everything, the last taken first.
func (a *Agent) close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

func (a *Agent) now() time.Time { return time.Now() }

// openReports opens the outbox and the client, or standard output where there
// is no server.
func (a *Agent) openReports(out io.Writer) error {
	if a.settings.Server == "" && a.settings.EnrolToken == "" {
		a.report = &lineReporter{out: out, log: a.log}
		a.problems = newProblems(a.report, a.log, a.now)
		return nil
	}
	var err error
	a.box, err = outbox.Open(outbox.Options{Dir: filepath.Join(a.settings.Data, "outbox"), Log: a.log, Now: a.now})
	if err != nil {
		return err
	}
	a.closing(a.box.Close)
	a.report = outboxReporter{a.box}
	a.problems = newProblems(a.report, a.log, a.now)
	o := seal.HTTPOptions{
		Dir: filepath.Join(a.settings.Data, "identity"), Server: a.settings.Server,
		CertFile: a.settings.CertFile, Insecure: a.settings.Insecure,
		Details: a.details, Problem: a.problems.tell, Log: a.log,
	}
	if a.settings.EnrolToken != "" {
		token, err := seal.ParseToken(a.settings.EnrolToken)
		if err != nil {
			return fmt.Errorf("read the enrol token: %w", err)
		}
		o.Token = &token
	}
	if a.settings.PublicKeyFile != "" {
		if o.PublicKey, err = seal.ReadPublicKey(a.settings.PublicKeyFile); err != nil {
			return fmt.Errorf("-pubkey: %w", err)
		}
	}
	if a.client, err = seal.NewHTTPClient(o); err != nil {
		return err
	}
	a.closing(a.client.Close)
	return nil
}

func (a *Agent) openTables() error {
	root, err := tables.DirRoot("/")
	if err != nil {
		return err
	}
	a.host = &tables.Host{Root: root, Now: a.now, Agent: a.info, Pacer: a.governor, Kept: &tables.Kept{}}
	a.closing(a.host.Kept.Close)
	a.engine, err = engine.New(all.Tables(), engine.Options{})
	return err
}

func (a *Agent) openSensors() error {
	var err error
	a.events, err = eventlog.Open(eventlog.Options{Dir: filepath.Join(a.settings.Data, "events"), Enter: a.capture.Enter, Logger: a.log,
		MaxBytes: a.settings.RecorderBytes, MaxAge: a.settings.RecorderAge})
	if err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	a.closing(a.events.Close)
	a.host.Log = a.events
	specs, tree, err := a.sensorSpecs()
	if err != nil {
		return err
	}
	a.sensors = sensor.NewManager(specs, a.events, sensor.Options{Meter: a.capture, Logger: a.log})
	a.host.Sensors = a.sensors.Status
	boot, err := bootTime()
	if err != nil {
		return err
	}
	id, err := bootID()
	if err != nil {
		return err
	}
	respond := a.responseOptions()
	a.detector = &detector{
		convert: &converter{tree: tree, users: newUserNames(a.now), boot: boot},
		fields:  newFieldList(), policy: a.policy, actions: response.NewSet(response.All(respond)...), respond: respond,
		report: a.report, tell: a.problems.tell, log: a.log, now: a.now, bootID: id,
		pace: paceRules(a.governor), fold: newFolder(), slots: make(chan struct{}, maxActing),
	}
	a.takeOver()
	a.stream = &stream{d: a.detector, log: a.events, path: filepath.Join(a.settings.Data, "rules.json")}
	return nil
}

// info is the row of edr_info.
func (a *Agent) info() tables.AgentInfo {
	i := tables.AgentInfo{
		InstanceID: a.instance, Version: a.version, Server: a.settings.Server, Started: a.started,
		CPULimit: a.governor.Stats().Limit, Respond: a.settings.Respond,
	}
	i.ConfigHash, i.ConfigOK = a.config.hash()
	if a.client != nil {
		i.UUID = a.client.HostID()
	}
	if a.box != nil {
		st := a.box.Stats()
		i.OutboxRecords, i.OutboxDropped = st.Records, st.Dropped
	}
	return i
}

// Run works until the context ends, and then puts everything away.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup

	live := a.sensors.Subscribe("rules", 65536)
	a.stream.first = a.events.LastID()
	a.sensors.Start(ctx)
	for _, s := range a.sensors.Status() {
		a.log.Info("sensor", "name", s.Name, "state", s.State, "mechanism", s.Mechanism, "detail", s.Detail)
	}
	detecting := make(chan struct{})
	go func() {
		defer close(detecting)
		a.firstRules(ctx)
		a.stream.resume(ctx)
		a.matchRunning(ctx)
		a.stream.run(ctx, live.C)
	}()

	asker := &Asker{Engine: a.engine, Host: a.host}
	failed := make(chan error, 1)
	wg.Go(func() {
		s := &localServer{ask: asker, status: a.status, log: a.log}
		if err := s.serve(ctx, SocketPath(a.settings.Data)); err != nil {
			failed <- err
		}
	})
	wg.Go(func() { a.governor.Run(ctx) })
	wg.Go(func() { excludeCapture(ctx, a.governor, a.capture) })
	wg.Go(func() { a.packs.run(ctx) })
	wg.Go(func() { a.health.run(ctx) })
	if a.client != nil {
		u := newUplink(a.client, a.log)
		u.ask, u.apply, u.report, u.tell = asker, a.apply, a.report, a.problems.tell
		u.respond = a.detector.actions.Run
		sender := &outbox.Sender{Outbox: a.box, Poster: a.client, Log: a.log, MaxDelay: maxBackoff}
		wg.Go(func() { u.run(ctx, func() { wg.Go(func() { _ = sender.Run(ctx) }) }) })
	} else {
		a.log.Info("no -server is given: working alone, hits go to standard output")
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	a.sensors.Close() // ends live.C after the last events
	<-detecting
	wg.Wait()
	return errors.Join(err, a.close())
}
