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

	plan func(ctx context.Context, args json.RawMessage) (string, error)
	do   func(ctx context.Context, args json.RawMessage) (string, error)
}

// Spec declares an action with arguments of type Args. Arguments name their
// target by an identity that is not used again.
type Spec[Args any] struct {
	Name    string
	Doc     string
	Example string
	// Check refuses arguments that cannot be meant.
	Check func(Args) error
	// Plan says what Do would do, and changes nothing.
	Plan func(ctx context.Context, a Args) (string, error)
	// Do acts, reads back, and says what it saw.
	Do func(ctx context.Context, a Args) (string, error)
}

// New makes an Action of its declaration.
func New[Args any](s Spec[Args]) Action {
	decode := func(raw json.RawMessage) (Args, error) {
		var a Args
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return a, fmt.Errorf("read the arguments of %s: %w (want such as %s)", s.Name, err, s.Example)
		}
		if err := s.Check(a); err != nil {
			return a, fmt.Errorf("check the arguments of %s: %w", s.Name, err)
		}
		return a, nil
	}
	run := func(f func(context.Context, Args) (string, error)) func(context.Context, json.RawMessage) (string, error) {
		return func(ctx context.Context, raw json.RawMessage) (string, error) {
			a, err := decode(raw)
			if err != nil {
				return "", err
			}
			return f(ctx, a)
		}
	}
	return Action{Name: s.Name, Doc: s.Doc, Example: s.Example, plan: run(s.Plan), do: run(s.Do)}
}

// Set is the actions that an agent offers.
type Set struct {
	actions []Action
	now     func() time.Time
}

// NewSet offers the given actions.
func NewSet(actions ...Action) *Set { return &Set{actions: actions, now: time.Now} }

// All are the actions of this version.
func All() []Action {
	return []Action{TerminateProcess()}
}

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
	plan, err := a.plan(ctx, r.Args)
	if err != nil {
		return fail(err)
	}
	out.Plan = plan
	if r.DryRun {
		out.State, out.Time = "planned", s.now()
		return out
	}
	seen, err := a.do(ctx, r.Args)
	out.Seen = seen
	if err != nil {
		return fail(err)
	}
	out.State, out.Time = "done", s.now()
	return out
}
