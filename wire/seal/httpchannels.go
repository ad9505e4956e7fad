package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aiedr/edr/wire"
)

// exchange sends a body on a channel and returns the reply's. Where the server
// does not know the session or refuses the record, it opens a new session and
// tries once more.
func (c *HTTPClient) exchange(ctx context.Context, ch Channel, path string, timeout time.Duration, body func() ([]byte, error)) ([]byte, error) {
	c.channel[ch-1].Lock()
	defer c.channel[ch-1].Unlock()
	for try := 0; ; try++ {
		s, err := c.session(ctx)
		if err != nil {
			return nil, err
		}
		plain, err := body()
		if err != nil {
			return nil, err
		}
		reply, err := c.once(ctx, s, ch, path, timeout, plain)
		if err == nil {
			c.pace.good()
			return reply, nil
		}
		c.count(err)
		retry := errors.Is(err, errKeySetChanged)
		if isRefusedBy(err, ErrUnknownSession, ErrSessionOver, ErrTampered, ErrReplayed, ErrWrongChannel, ErrMalformed) ||
			!isRefusedBy(err, Refusals()...) && RefusalName(err) != "" && !errors.Is(err, ErrOversized) {
			// Either side is no longer sure of the other: start anew.
			c.client.forget(s)
			retry = true
		}
		if !retry || try > 0 {
			return nil, err
		}
	}
}

func (c *HTTPClient) once(ctx context.Context, s *clientSession, ch Channel, path string, timeout time.Duration, plain []byte) ([]byte, error) {
	request, open, err := c.client.seal(s, ch, plain)
	if err != nil {
		return nil, err
	}
	reply, err := c.ask(ctx, timeout, path, request)
	if err != nil {
		return nil, err
	}
	return open(reply)
}

// Post delivers records of one outbox, in rising number, and returns the
// highest number up to which the server has all. The error may come with a
// number: what is below it is kept.
func (c *HTTPClient) Post(ctx context.Context, records []wire.Record) (ack uint64, err error) {
	if len(records) == 0 {
		return 0, nil
	}
	batch, err := makeBatch(records)
	if err != nil {
		return 0, c.count(fmt.Errorf("post records: %w", err))
	}
	packed, err := pack(batch)
	if err == nil && len(packed)+headerLen+gcmTag > MaxMessage || len(records) > MaxRecords || errors.Is(err, ErrOversized) {
		if len(records) == 1 {
			return 0, c.count(fmt.Errorf("post record %d: %w", records[0].Number, ErrOversized))
		}
		return c.Post(ctx, records[:len(records)/2])
	}
	reply, err := c.exchange(ctx, ChannelPost, PathPost, postTimeout, func() ([]byte, error) { return batch, nil })
	if err != nil {
		return 0, fmt.Errorf("post records: %w", err)
	}
	var a postReply
	if err := json.Unmarshal(reply, &a); err != nil {
		return 0, c.count(fmt.Errorf("post records: %v: %w", err, ErrMalformed))
	}
	c.client.learn(a.Time)
	return a.Ack, c.count(a.err())
}

// Poll waits for commands, for at most about a minute; after an error the
// caller waits before it polls again. Those that it returns
// are verified and their serial and nonce are on disk; those refused are
// counted and told to Problem. Key rotation is obeyed inside and not returned.
func (c *HTTPClient) Poll(ctx context.Context) ([]wire.Command, error) {
	reply, err := c.exchange(ctx, ChannelPoll, PathPoll, pollTimeout, func() ([]byte, error) {
		return json.Marshal(pollRequest{Taken: c.identity.commands.Serial()})
	})
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	var a pollReply
	if err := json.Unmarshal(reply, &a); err != nil {
		return nil, c.count(fmt.Errorf("poll: %v: %w", err, ErrMalformed))
	}
	c.client.learn(a.Time)
	if len(a.KeySet) > 0 {
		changed, err := c.client.AcceptKeySet(a.KeySet)
		if err != nil {
			return nil, c.count(fmt.Errorf("poll: take the server's new key set: %w", err))
		}
		if changed {
			c.o.Log.Info("the server's keys rotated", "serial", c.identity.KeySet().Serial)
		}
	}
	if len(a.Commands) > MaxCommands {
		return nil, c.count(fmt.Errorf("poll: %d commands: %w", len(a.Commands), ErrOversized))
	}
	commands := c.take(a.Commands)
	if len(commands) == 0 && ctx.Err() != nil {
		// The server's answer to the broken wait can be faster than the break.
		return nil, fmt.Errorf("poll: %w", ctx.Err())
	}
	return commands, nil
}

// take verifies commands; what is refused does nothing and is said.
func (c *HTTPClient) take(signed [][]byte) []wire.Command {
	var out []wire.Command
	for _, b := range signed {
		cmd, mine, err := c.client.Take(b)
		if err != nil {
			c.count(err)
			c.o.Log.Warn("a command was refused", "error", err)
			c.o.Problem("commands", err)
			continue
		}
		if !mine {
			out = append(out, cmd)
		}
	}
	return out
}

// Answer sends a part of a live query's answer.
func (c *HTTPClient) Answer(ctx context.Context, a wire.Answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("answer query %s: %w", a.Query, err)
	}
	reply, err := c.exchange(ctx, ChannelAnswer, PathAnswer, postTimeout, func() ([]byte, error) { return text, nil })
	if err != nil {
		return fmt.Errorf("answer query %s: %w", a.Query, err)
	}
	var r answerReply
	if err := json.Unmarshal(reply, &r); err != nil {
		return c.count(fmt.Errorf("answer query %s: %v: %w", a.Query, err, ErrMalformed))
	}
	c.client.learn(r.Time)
	return nil
}
