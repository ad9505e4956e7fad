package seal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aiedr/edr/wire"
)

type pollRequest struct {
	Taken uint64 `json:"taken"`
}

type pollReply struct {
	Time time.Time `json:"time"`
	// Commands are signed commands in rising serial.
	Commands [][]byte `json:"commands,omitempty"`
	// KeySet is there where the host's is not the present one.
	KeySet []byte `json:"key_set,omitempty"`
}

type answerReply struct {
	Time time.Time `json:"time"`
}

// HandlePost takes a batch of records into the ReceiverStore.
func (s *Server) HandlePost(ctx context.Context, body []byte) Reply {
	sess, h, plain, err := s.request(body, ChannelPost)
	var batch []Received
	if err == nil {
		batch, err = readBatch(plain)
	}
	if err != nil {
		return s.refuseRecord(fmt.Errorf("take a post: %w", err), sess, h)
	}
	now := s.o.Now()
	ack, err := s.receiver.receive(ctx, sess.host, batch, now)
	a := postReply{Time: now.UTC(), Ack: ack}
	if err != nil {
		if RefusalName(err) != ErrGap.Name {
			return s.refuseRecord(err, sess, h)
		}
		a.Error, a.Detail = ErrGap.Name, err.Error()
		s.refuse(fmt.Errorf("take a post of host %s: %w", sess.host.ID, err), Event{Host: sess.host})
	}
	return s.answer(sess, h, a)
}

// WaitFunc answers a poll: it returns the host's commands in rising serial,
// at once or when there are some, and none when ctx ends, which is after
// MaxPollWait at the latest. An error makes the agent try again.
type WaitFunc func(ctx context.Context, host Host, info PollInfo) ([]SignedCommand, error)

// HandlePoll answers a poll with commands. A second poll of a session ends the
// first, whose agent has given it up.
func (s *Server) HandlePoll(ctx context.Context, body []byte, wait WaitFunc) Reply {
	sess, h, plain, err := s.request(body, ChannelPoll)
	var q pollRequest
	if err == nil {
		if e := json.Unmarshal(plain, &q); e != nil {
			err = fmt.Errorf("%v: %w", e, ErrMalformed)
		}
	}
	if err != nil {
		return s.refuseRecord(fmt.Errorf("take a poll: %w", err), sess, h)
	}
	s.reload()
	var a pollReply
	if s.behind(h) {
		// The new keys go at once: commands may be signed with them already.
		a.KeySet = s.o.Keys.present().set.whole
	}
	if a.KeySet == nil {
		wctx, done := sess.startPoll(ctx, h.sequence)
		commands, err := wait(wctx, sess.host, PollInfo{Taken: q.Taken})
		// The wait's own end is no failure.
		over := wctx.Err() != nil
		done()
		if err != nil && !(over && len(commands) == 0) {
			return s.refuseRecord(fmt.Errorf("find the commands of host %s: %w", sess.host.ID, asRefusal(err)), sess, h)
		}
		a.Commands = fitting(commands)
		s.reload()
		if s.behind(h) {
			a.KeySet = s.o.Keys.present().set.whole
		}
	}
	a.Time = s.o.Now().UTC()
	return s.answer(sess, h, a)
}

// behind says whether the agent that sent h lacks the present key set.
func (s *Server) behind(h header) bool { return h.keySet < s.o.Keys.Serial() }

// fitting is as many commands as a reply can carry however little they
// compress; the agent polls again at once for the rest.
func fitting(commands []SignedCommand) [][]byte {
	var out [][]byte
	room := MaxMessage/4*3 - maxKeySet*2 - 1024 // base64 makes four of three
	for _, c := range commands {
		if len(out) == MaxCommands || len(out) > 0 && len(c) > room {
			break
		}
		room -= len(c) + 4
		out = append(out, c)
	}
	return out
}

// HandleAnswer takes a part of a live query's answer. The agent sends it
// again if take fails, so take must bear a part twice.
func (s *Server) HandleAnswer(ctx context.Context, body []byte, take func(context.Context, Host, wire.Answer) error) Reply {
	sess, h, plain, err := s.request(body, ChannelAnswer)
	var a wire.Answer
	if err == nil {
		if e := json.Unmarshal(plain, &a); e != nil {
			err = fmt.Errorf("%v: %w", e, ErrMalformed)
		}
	}
	if err != nil {
		return s.refuseRecord(fmt.Errorf("take an answer: %w", err), sess, h)
	}
	if err := take(ctx, sess.host, a); err != nil {
		return s.refuseRecord(fmt.Errorf("keep an answer of host %s: %w", sess.host.ID, asRefusal(err)), sess, h)
	}
	return s.answer(sess, h, answerReply{Time: s.o.Now().UTC()})
}
