package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aiedr/edr/response"
	"github.com/aiedr/edr/wire"
)

// actionArgs are the arguments of an action that a rule asks for: they come
// from the event, and what it does not tell is read at the time of acting.
func (d *detector) actionArgs(ctx context.Context, name string, h *wire.Hit) (any, error) {
	switch name {
	case "terminate_process", "suspend_process":
		if h.Process == nil || h.Process.PID == 0 {
			return nil, errors.New("the event names no process")
		}
		return response.TerminateProcessArgs{PID: h.Process.PID, StartTime: h.Process.StartTime}, nil
	case "quarantine_file":
		return d.fileArgs(ctx, h)
	case "block_connection":
		return connectionArgs(h)
	}
	return nil, fmt.Errorf("%s is not built yet in this agent", name)
}

// fileArgs name the file that an event is about, or else the program of the
// process that it is about.
func (d *detector) fileArgs(ctx context.Context, h *wire.Hit) (any, error) {
	if path := fieldText(h, "target_path"); path != "" {
		a := response.QuarantineFileArgs{Path: path}
		// Whatever stands at the path by now must be the same file.
		a.Inode, _ = strconv.ParseUint(fieldText(h, "inode"), 10, 64)
		return response.Identify(ctx, d.respond, a)
	}
	if h.Process != nil && h.Process.Path != "" {
		return response.IdentifyExecuted(ctx, d.respond, response.Executed{
			PID: h.Process.PID, StartTime: h.Process.StartTime, Path: h.Process.Path, Time: h.Time,
		})
	}
	return nil, errors.New("the event names no file and no program")
}

// connectionArgs name the other end of a connection.
func connectionArgs(h *wire.Hit) (any, error) {
	a := response.BlockConnectionArgs{RemoteAddress: fieldText(h, "remote_address")}
	if a.RemoteAddress == "" {
		return nil, errors.New("the event names no remote address")
	}
	switch fieldText(h, "protocol") {
	case "6", "tcp":
		a.Protocol = "tcp"
	case "17", "udp":
		a.Protocol = "udp"
	default:
		a.Protocol = "any"
	}
	// Who comes in does so from another port each time.
	if fieldText(h, "action") != "accept" && a.Protocol != "any" {
		port, err := strconv.ParseUint(fieldText(h, "remote_port"), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("the event's remote port: %w", err)
		}
		a.RemotePort = uint16(port)
	}
	if h.Process != nil && h.Process.StartTime > 0 {
		a.PID, a.StartTime = h.Process.PID, h.Process.StartTime
	}
	return a, nil
}

// fieldText is a value of the event as text; empty where it has none.
func fieldText(h *wire.Hit, name string) string {
	for _, f := range h.Event {
		if f.Name == name {
			return f.Value.String()
		}
	}
	return ""
}

// A file that somebody writes just now is tried again a few times.
const (
	moreTries = 5
	tryPause  = 50 * time.Millisecond // doubled each time
)

// actOne has one action of a rule done, and says what came of it.
func (d *detector) actOne(ctx context.Context, name string, h *wire.Hit) wire.ActionState {
	var s wire.ActionState
	for try := range moreTries {
		args, err := d.actionArgs(ctx, name, h)
		changing := errors.Is(err, response.ErrChanging)
		if err == nil {
			s = d.do(ctx, name, args, h)
			changing = s.State == "failed" && d.differs(ctx, name, args, h)
		} else {
			s = failed(name, err)
		}
		if !changing {
			return s
		}
		select {
		case <-ctx.Done():
			return s
		case <-time.After(tryPause << try):
		}
	}
	return s
}

// differs says whether an action failed because its file has changed since it
// was looked at.
func (d *detector) differs(ctx context.Context, name string, before any, h *wire.Hit) bool {
	was, ok := before.(response.QuarantineFileArgs)
	if !ok {
		return false
	}
	after, err := d.actionArgs(ctx, name, h)
	is, ok := after.(response.QuarantineFileArgs)
	return errors.Is(err, response.ErrChanging) || err == nil && ok && is.SHA256 != was.SHA256
}

func failed(name string, err error) wire.ActionState {
	var refused *response.RefusedError
	if errors.As(err, &refused) {
		return wire.ActionState{Action: name, State: "refused", Detail: err.Error()}
	}
	return wire.ActionState{Action: name, State: "failed", Detail: err.Error()}
}

func (d *detector) do(ctx context.Context, name string, args any, h *wire.Hit) wire.ActionState {
	raw, err := json.Marshal(args)
	if err != nil {
		return failed(name, err)
	}
	out := d.actions.Run(ctx, wire.Respond{ID: h.ID, Action: name, Args: raw, By: "rule " + h.Rule.ID, Reason: h.Title})
	s := wire.ActionState{Action: name, State: out.State, Detail: out.Seen}
	if out.Error != "" {
		s.Detail = out.Error
	}
	if len(out.Undo) > 0 {
		s.Undo = &wire.Undo{}
		if err := json.Unmarshal(out.Undo, s.Undo); err != nil {
			d.tell("undo of "+name, err)
			s.Undo = nil
		}
	}
	return s
}
