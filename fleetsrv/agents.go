package fleetsrv

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// mountAgents adds the paths of the sealed protocol. Package seal decides
// everything; here is only HTTP.
func (s *Server) mountAgents(r *gin.Engine) {
	handle := func(path string, answer func(c *gin.Context, ctx context.Context, body []byte) seal.Reply) {
		r.POST(path, func(c *gin.Context) {
			body, err := seal.ReadBody(c.Request)
			if err != nil {
				s.seal.Counters.Add(err)
				s.reply(c, seal.RefusalReply(err))
				return
			}
			s.reply(c, answer(c, c.Request.Context(), body))
		})
	}
	handle(seal.PathKeys, func(_ *gin.Context, ctx context.Context, body []byte) seal.Reply {
		return s.seal.HandleKeys(ctx, body)
	})
	handle(seal.PathEnrol, func(c *gin.Context, ctx context.Context, body []byte) seal.Reply {
		reply := s.seal.HandleEnrol(ctx, body, c.RemoteIP())
		if reply.Host.State == seal.HostAdmitted {
			s.see(c, reply)
		}
		return reply
	})
	handle(seal.PathOpen, func(c *gin.Context, ctx context.Context, body []byte) seal.Reply {
		reply := s.seal.HandleOpen(ctx, body, c.RemoteIP())
		s.see(c, reply)
		return reply
	})
	handle(seal.PathPost, func(c *gin.Context, ctx context.Context, body []byte) seal.Reply {
		reply := s.seal.HandlePost(ctx, body)
		s.see(c, reply)
		return reply
	})
	handle(seal.PathPoll, func(c *gin.Context, ctx context.Context, body []byte) seal.Reply {
		_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(seal.MaxPollWait + requestTime)) // a writer without deadlines has none to pass
		address := c.RemoteIP()
		// A server that stops lets its polls end, so that it need not wait for them.
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		return s.seal.HandlePoll(ctx, body, func(ctx context.Context, host seal.Host, info seal.PollInfo) ([]seal.SignedCommand, error) {
			return s.dispatch.Wait(ctx, host, info, address)
		})
	})
	handle(seal.PathAnswer, func(c *gin.Context, ctx context.Context, body []byte) seal.Reply {
		reply := s.seal.HandleAnswer(ctx, body, func(ctx context.Context, host seal.Host, a wire.Answer) error {
			return s.queries.Answer(ctx, host.ID, a)
		})
		s.see(c, reply)
		return reply
	})
}

// see notes the sign of life of a host whose message proved who it is.
func (s *Server) see(c *gin.Context, reply seal.Reply) {
	if reply.Err == nil && reply.Host.ID != "" {
		s.dispatch.See(reply.Host.ID, c.RemoteIP())
	}
}

func (s *Server) reply(c *gin.Context, r seal.Reply) {
	c.Data(r.Status, seal.ContentType, r.Body)
}
