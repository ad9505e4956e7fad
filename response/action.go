// Package response is what an agent can do to its machine when an operator or
// an approved rule asks for it. One file declares one action: its arguments,
// a plan that changes nothing, and the doing, which reads back what it did.
package response

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aiedr/edr/wire"
)

// ErrNotSupported is answered where this system cannot have the action.
var ErrNotSupported = errors.New("not supported here")

// RefusedError says why an action will not be done, whoever asks.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return "refused: " + e.Reason }

// Action is a declared action with the type of its arguments erased.
type Action struct {
	Name string
	Doc  string
	// Example is a valid argument object, for messages and documentation.
	Example string

	// UndoneBy is the action that takes this one back; empty where none can.
	UndoneBy string
	// Arguments are the members of the argument object, in their order.
	Arguments []Argument

	plan func(ctx context.Context, args json.RawMessage, dry bool) (plan string, whole json.RawMessage, err error)
	do   func(ctx context.Context, req Request, args json.RawMessage) (Done, error)
}

// Argument is a member of an action's argument object.
type Argument struct {
	Name     string
	Doc      string
	Type     reflect.Type
	Required bool
}

// argumentsOf reads the members off the struct that they are decoded into.
func argumentsOf(t reflect.Type) []Argument {
	var out []Argument
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, Argument{Name: name, Doc: f.Tag.Get("doc"), Type: f.Type, Required: options != "omitempty"})
	}
	return out
}

// Request is who asked for an action and why, for the action's own record.
type Request struct {
	ID     string
	By     string
	Reason string
	Time   time.Time
}

// Done is what an action saw after it had acted.
type Done struct {
	Seen string
	// Undo are the arguments of Action.UndoneBy; nil where there is nothing
	// to take back.
	Undo any
}

// Spec declares an action with arguments of type Args. Arguments name their
// target by an identity that is not used again.
type Spec[Args any] struct {
	Name     string
	Doc      string
	Example  string
	UndoneBy string
	// Complete fills in what a dry run may leave out; the outcome carries the
	// whole arguments, so that what was planned can be asked for. Nil where
	// every argument must be known to name the target at all.
	Complete func(ctx context.Context, a Args) (Args, error)
	// Check refuses arguments that cannot be meant.
	Check func(Args) error
	// Plan says what Do would do, and changes nothing.
	Plan func(ctx context.Context, a Args) (string, error)
	// Do acts, reads back, and says what it saw. What it saw counts also
	// beside an error.
	Do func(ctx context.Context, req Request, a Args) (Done, error)
}

// New makes an Action of its declaration.
func New[Args any](s Spec[Args]) Action {
	decode := func(raw json.RawMessage) (a Args, err error) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return a, fmt.Errorf("read the arguments of %s: %w (want such as %s)", s.Name, err, s.Example)
		}
		return a, nil
	}
	check := func(a Args) error {
		if err := s.Check(a); err != nil {
			return fmt.Errorf("check the arguments of %s: %w", s.Name, err)
		}
		return nil
	}
	plan := func(ctx context.Context, raw json.RawMessage, dry bool) (string, json.RawMessage, error) {
		a, err := decode(raw)
		if err != nil {
			return "", nil, err
		}
		if dry && s.Complete != nil {
			if a, err = s.Complete(ctx, a); err != nil {
				return "", nil, err
			}
		}
		if err := check(a); err != nil {
			return "", nil, err
		}
		text, err := s.Plan(ctx, a)
		if err != nil || !dry {
			return text, nil, err
		}
		whole, err := json.Marshal(a)
		return text, whole, err
	}
	do := func(ctx context.Context, req Request, raw json.RawMessage) (Done, error) {
		a, err := decode(raw)
		if err != nil {
			return Done{}, err
		}
		if err := check(a); err != nil {
			return Done{}, err
		}
		return s.Do(ctx, req, a)
	}
	return Action{Name: s.Name, Doc: s.Doc, Example: s.Example, UndoneBy: s.UndoneBy,
		Arguments: argumentsOf(reflect.TypeFor[Args]()), plan: plan, do: do}
}

// Set is the actions that an agent offers.
type Set struct {
	actions []Action
	now     func() time.Time
}

// NewSet offers the given actions.
func NewSet(actions ...Action) *Set { return &Set{actions: actions, now: time.Now} }

// Names lists the actions that there are.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.actions))
	for _, a := range s.actions {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names
}

// Run does what is asked, or only plans it, and says what came of it. It never
// fails without an Outcome that tells why.
func (s *Set) Run(ctx context.Context, r wire.Respond) wire.Outcome {
	out := wire.Outcome{ID: r.ID, Action: r.Action}
	fail := func(err error) wire.Outcome {
		out.State, out.Error, out.Time = "failed", err.Error(), s.now()
		var refused *RefusedError
		if errors.As(err, &refused) {
			out.State = "refused"
		}
		return out
	}
	i := slices.IndexFunc(s.actions, func(a Action) bool { return a.Name == r.Action })
	if i < 0 {
		return fail(&RefusedError{fmt.Sprintf("this agent has no action %q; it has %s", r.Action, strings.Join(s.Names(), ", "))})
	}
	a := s.actions[i]
	plan, whole, err := a.plan(ctx, r.Args, r.DryRun)
	if err != nil {
		return fail(err)
	}
	out.Plan = plan
	if r.DryRun {
		out.State, out.Args, out.Time = "planned", whole, s.now()
		return out
	}
	done, err := a.do(ctx, Request{ID: r.ID, By: r.By, Reason: r.Reason, Time: s.now()}, r.Args)
	out.Seen = done.Seen
	if done.Undo != nil && a.UndoneBy != "" {
		if out.Undo, err = undo(a.UndoneBy, done.Undo, err); err != nil {
			return fail(err)
		}
	}
	if err != nil {
		return fail(err)
	}
	out.State, out.Time = "done", s.now()
	return out
}

// undo packs what takes an action back; the action's own error goes first.
func undo(action string, args any, acted error) (json.RawMessage, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return nil, errors.Join(acted, fmt.Errorf("write the arguments of %s: %w", action, err))
	}
	b, err := json.Marshal(wire.Undo{Action: action, Args: raw})
	return b, errors.Join(acted, err)
}
