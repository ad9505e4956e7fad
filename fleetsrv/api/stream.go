package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
)

const (
	heartbeat   = 15 * time.Second
	writeWindow = 30 * time.Second // in which a reader must take what is written
	streamRows  = 2000             // rows in one event
	// gather is how long changes are gathered before they are sent, so that
	// ten thousand hosts do not make ten thousand events of one row.
	gather = 100 * time.Millisecond
)

// extend gives the reader a new window to take what is written next.
func extend(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(writeWindow)) // a writer without deadlines has none to pass
}

// send writes one event; id 0 is left out.
func send(c *gin.Context, event string, id int64, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	extend(c)
	head := "event: " + event + "\n"
	if id > 0 {
		head += "id: " + strconv.FormatInt(id, 10) + "\n"
	}
	if _, err := fmt.Fprintf(c.Writer, "%sdata: %s\n\n", head, b); err != nil {
		return err
	}
	c.Writer.Flush()
	return nil
}

// openStream begins an event stream; close is to be called at its end.
func (a *API) openStream(c *gin.Context) (close func(), ok bool) {
	name := who(c).Name
	if !a.streams.begin(name) {
		a.fail(c, &problem{http.StatusTooManyRequests, fmt.Sprintf("you have %d streams open; close some pages", maxStreams)})
		return nil, false
	}
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-store")
	c.Header("X-Accel-Buffering", "no")
	c.Status(http.StatusOK)
	extend(c)
	_, _ = fmt.Fprint(c.Writer, "retry: 2000\n\n") // a broken connection shows at the next write
	c.Writer.Flush()
	return func() { a.streams.end(name) }, true
}

// alive keeps the connection open and looks whether the person may still see
// what flows: a login ended or a role lowered ends the stream.
func (a *API) alive(c *gin.Context) error {
	p, err := a.principal(c)
	if err != nil {
		return err
	}
	if was := who(c); p.Role != was.Role || len(p.Classes) != len(was.Classes) || len(p.Scope.Groups) != len(was.Scope.Groups) {
		return errors.New("rights changed")
	}
	extend(c)
	if _, err := fmt.Fprint(c.Writer, ": alive\n\n"); err != nil {
		return err
	}
	c.Writer.Flush()
	return nil
}

func (a *API) stream(c *gin.Context) {
	done, ok := a.openStream(c)
	if !ok {
		return
	}
	defer done()
	sub := a.Bus.Subscribe()
	defer sub.Close()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-c.Request.Context().Done():
			return
		case <-a.Stopping.Done():
			return
		case <-beat.C:
			if a.alive(c) != nil {
				return
			}
		case <-sub.Ready:
			changes, missed := sub.Take()
			if missed && send(c, "missed", 0, gin.H{}) != nil {
				return
			}
			for _, ch := range changes {
				if err := a.sendChange(c, ch); err != nil {
					return
				}
			}
		}
	}
}

// sendChange reads what changed in the scope of who is told; what he may not
// see, or is gone, is not sent.
func (a *API) sendChange(c *gin.Context, ch live.Change) error {
	ctx, sc := c.Request.Context(), who(c).Scope
	var v any
	var err error
	switch ch.Topic {
	case live.TopicAlert:
		var id int64
		if id, err = strconv.ParseInt(ch.ID, 10, 64); err == nil {
			var al store.Alert
			al, err = a.Store.Alert(ctx, sc, id)
			v = a.alertView(c, al)
		}
	case live.TopicHost:
		var h store.Host
		h, err = a.Store.Host(ctx, sc, ch.ID)
		v = a.hostView(h)
	case live.TopicResponse:
		var r store.Response
		r, err = a.Store.Response(ctx, sc, ch.ID)
		v = viewResponse(r)
	default:
		return nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return send(c, string(ch.Topic), 0, v)
}

func (a *API) queryStream(c *gin.Context) {
	q, err := a.query(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	after := int64(0)
	if s := c.GetHeader("Last-Event-ID"); s != "" {
		if after, err = strconv.ParseInt(s, 10, 64); err != nil || after < 0 {
			a.fail(c, badRequest("Last-Event-ID %q is no number of a row", s))
			return
		}
	}
	// Watched before the hosts are read, so that nothing falls between.
	w, unwatch := a.Queries.Watch(q.ID)
	defer unwatch()
	done, ok := a.openStream(c)
	if !ok {
		return
	}
	defer done()
	if q, err = a.Store.Query(c.Request.Context(), who(c).Scope, q.ID); err != nil {
		return
	}
	for _, h := range q.Hosts {
		if send(c, "host", 0, viewQueryHost(h)) != nil {
			return
		}
	}
	names := map[string]string{}
	for _, h := range q.Hosts {
		names[h.Host] = h.Hostname
	}
	if after, err = a.sendRows(c, q.ID, after); err != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-c.Request.Context().Done():
			return
		case <-a.Stopping.Done():
			return
		case <-beat.C:
			if a.alive(c) != nil {
				return
			}
			continue
		case <-w.Ready:
		}
		hosts, over := w.Take()
		if after, err = a.sendRows(c, q.ID, after); err != nil {
			return
		}
		for _, h := range hosts {
			h.Hostname = names[h.Host]
			if send(c, "host", 0, viewQueryHost(h)) != nil {
				return
			}
		}
		if over {
			a.finishStream(c, q.ID, after)
			return
		}
		select {
		case <-time.After(gather):
		case <-c.Request.Context().Done():
			return
		}
	}
}

func (a *API) finishStream(c *gin.Context, id string, after int64) {
	if _, err := a.sendRows(c, id, after); err != nil {
		return
	}
	q, err := a.Store.Query(c.Request.Context(), who(c).Scope, id)
	if err != nil {
		return
	}
	_ = send(c, "done", 0, viewQuery(q)) // the stream ends either way
}

// sendRows sends the rows after a sequence and answers the last one sent.
func (a *API) sendRows(c *gin.Context, id string, after int64) (int64, error) {
	for {
		parts, err := a.Store.QueryParts(c.Request.Context(), who(c).Scope, id, after, streamRows)
		if err != nil || len(parts) == 0 {
			return after, err
		}
		rows, next, err := rowViews(parts, after, streamRows)
		if err != nil {
			return after, err
		}
		if len(rows) == 0 {
			return after, nil
		}
		if err := send(c, "rows", next, gin.H{"rows": rows}); err != nil {
			return after, err
		}
		after = next
	}
}
