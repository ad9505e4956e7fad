package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/response"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/wire"
)

// procTick is the precision of a start time in /proc: hits of one process are
// named by it, so that they are the same whether an event or /proc told of it.
const procTick = int64(10 * time.Millisecond)

// actTimeout bounds an action that a rule asked for: the hit waits for it, so
// that it tells what came of it.
const actTimeout = 10 * time.Second

// maxActing bounds the actions under way at once.
const maxActing = 32

// detector runs the rules over live events and reports what they hit.
type detector struct {
	convert *converter
	fields  *fieldList
	policy  *policy
	actions *response.Set
	respond response.Options
	report  reporter
	tell    func(source string, err error)
	log     *slog.Logger
	now     func() time.Time
	bootID  string
	pace    func(context.Context) error

	rules atomic.Pointer[rule.Set]
	// exits are the rules that ask for the action of an event: others look
	// at executions alone, or an end would hit what its beginning did.
	exits atomic.Pointer[rule.Set]
	fold  *folder

	acting sync.WaitGroup
	slots  chan struct{}
	hits   atomic.Uint64
}

// setRules replaces the rules.
func (d *detector) setRules(rules []*rule.Rule, goos string) {
	var withAction []*rule.Rule
	for _, r := range rules {
		if r.Mentions("action") {
			withAction = append(withAction, r)
		}
	}
	d.rules.Store(rule.NewSet(rules, goos))
	d.exits.Store(rule.NewSet(withAction, goos))
}

// one matches one event. A fault in our own code costs this event's hits and
// is told; it never takes the agent down.
func (d *detector) one(ctx context.Context, ev *rule.Event, e event.Event) {
	defer func() {
		if p := recover(); p != nil {
			d.tell("rules on "+e.Table(), fmt.Errorf("internal error at event %s: %v", e.Head().EID, p))
		}
	}()
	set := d.rules.Load()
	if _, exit := e.(*event.Exit); exit {
		set = d.exits.Load()
	}
	if set == nil || !d.wanted(set, e) || !d.convert.fill(ev, e) {
		return
	}
	set.Match(ev, func(r *rule.Rule) { d.hit(ctx, r, ev, e) })
}

// wanted spares the conversion of events that no rule looks at.
func (d *detector) wanted(set *rule.Set, e event.Event) bool {
	switch e.(type) {
	case *event.Exec, *event.Exit:
		return set.Needs(rule.TypeProcess)
	case *event.Socket:
		return set.Needs(rule.TypeNetwork)
	case *event.File:
		return set.Needs(rule.TypeFile)
	case *event.Registry:
		return set.Needs(rule.TypeRegistry)
	}
	return false
}

func (d *detector) hit(ctx context.Context, r *rule.Rule, ev *rule.Event, e event.Event) {
	d.hits.Add(1)
	h := d.build(r, ev, e)
	if !d.fold.pass(h, d.now()) {
		return
	}
	actions := effects(r.Actions)
	if !d.acts(h, actions) {
		d.send(h)
		return
	}
	// Acting may take a moment, and other events must not wait for it.
	select {
	case d.slots <- struct{}{}:
	default:
		setActions(h, actions, "failed", fmt.Sprintf("%d actions are under way already", maxActing))
		d.send(h)
		return
	}
	d.acting.Go(func() {
		defer func() { <-d.slots }()
		d.act(ctx, h, actions)
		d.send(h)
	})
}

func (d *detector) build(r *rule.Rule, ev *rule.Event, e event.Event) *wire.Hit {
	h := &wire.Hit{
		Rule: r.Ref(), Severity: r.Severity, Title: r.Title, Description: r.Description,
		Attack: r.Attack, Time: ev.Time, Count: 1, Table: ev.Table, Event: d.fields.of(e),
	}
	if h.Title == "" {
		h.Title = r.Name
	}
	if ev.Process.PID > 0 {
		p := wireProcess(ev.Process)
		h.Process = &p
		for _, a := range ev.Ancestors {
			h.Ancestry = append(h.Ancestry, wireProcess(a))
		}
	}
	h.Entity = entity(ev)
	h.ID = d.hitID(h, ev)
	return h
}

// entity is what a hit is about: the same rule and entity again is the same
// trouble again.
func entity(ev *rule.Event) string {
	switch ev.Type {
	case rule.TypeFile:
		return ev.File.Path
	case rule.TypeRegistry:
		return clip(ev.Registry.Key + `\` + ev.Registry.Value)
	case rule.TypeNetwork:
		return ev.Process.Path + " " + ev.Network.RemoteAddress + ":" + strconv.FormatInt(ev.Network.RemotePort, 10)
	}
	return clip(ev.Process.Path + " " + ev.Process.Command)
}

// maxEntity bounds an entity: a command line may be pages long.
const maxEntity = 256

// clip shortens a text so that different ones stay different.
func clip(s string) string {
	if len(s) <= maxEntity {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:maxEntity-20], "") + "… " + hex.EncodeToString(sum[:8])
}

// hitID is the same whenever the same event hits the same version of a rule:
// after a crash the agent looks again, and the server keeps one. A process is
// named by boot, pid and start, since after a restart /proc tells of it.
func (d *detector) hitID(h *wire.Hit, ev *rule.Event) string {
	sum := sha256.New()
	part := func(s string) { fmt.Fprintf(sum, "%d:%s", len(s), s) }
	part(h.Rule.ID)
	part(h.Rule.Version)
	part(d.bootID)
	if ev.Type == rule.TypeProcess {
		part(ev.Action)
		part(strconv.FormatInt(ev.Process.PID, 10))
		part(strconv.FormatInt(ev.Process.StartTime/procTick, 10))
		part(ev.Process.Path)
		part(ev.Process.Command)
	} else {
		part(h.Table)
		part(ev.ID)
		part(strconv.FormatInt(ev.Time.UnixNano(), 10))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// effects are a rule's actions beyond telling of the hit.
func effects(actions []string) []string {
	var out []string
	for _, a := range actions {
		if a != "alert" && a != "log" {
			out = append(out, a)
		}
	}
	return out
}

// acts notes the state of the rule's actions where nothing will happen, and
// says whether something will.
func (d *detector) acts(h *wire.Hit, actions []string) bool {
	if len(actions) == 0 {
		return false
	}
	state, why := d.policy.verdict(h.Rule)
	if state == "act" {
		return true
	}
	setActions(h, actions, state, why)
	return false
}

func setActions(h *wire.Hit, actions []string, state, detail string) {
	h.Actions = nil
	for _, a := range actions {
		h.Actions = append(h.Actions, wire.ActionState{Action: a, State: state, Detail: detail})
	}
}

// act does what the rule asks for. Its arguments come from the event.
func (d *detector) act(ctx context.Context, h *wire.Hit, actions []string) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	h.Actions = nil
	for _, name := range actions {
		s := d.actOne(ctx, name, h)
		d.log.Info("rule acted", "rule", h.Rule.ID, "action", name, "state", s.State, "detail", s.Detail)
		h.Actions = append(h.Actions, s)
	}
}

func (d *detector) send(h *wire.Hit) {
	if err := d.report.Hit(*h); err != nil {
		d.tell("report a hit of rule "+h.Rule.ID, err)
	}
}

// idle says whether every hit has been reported.
func (d *detector) idle() bool { return len(d.slots) == 0 && d.fold.empty() }

// flush sends what was folded.
func (d *detector) flush(all bool) {
	for _, h := range d.fold.due(d.now(), all) {
		h.Description = strings.TrimSpace(h.Description + fmt.Sprintf(" (%d like it in a short time)", h.Count))
		d.send(h)
	}
}
