// Package fleetsrv is the fleet server: it enrols hosts, takes what they
// deliver, brings them commands, and serves the console and its API.
package fleetsrv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/content"
	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/group"
	"github.com/aiedr/edr/fleetsrv/ingest"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/upkeep"
	"github.com/aiedr/edr/wire/seal"
)

// requestTime is what a request may take, from the end of its head to the end
// of its reply; polls and streams have their own.
const requestTime = 60 * time.Second

// Options say what a Server stands on.
type Options struct {
	Store store.Store
	Keys  *seal.ServerKeys
	// Address is how agents reach the server, such as https://edr.example:8443.
	Address string
	// ContentDir is a folder of local rules and packs; "" for none.
	ContentDir string
	Version    string
	// Sinks are where hits and results flow to.
	Sinks []export.Config
	// ResponseLife is how long a response waits for its host; 0 is one hour.
	ResponseLife time.Duration
	Now          func() time.Time
	Log          *slog.Logger
}

// Server is a running server without its listener.
type Server struct {
	o         Options
	seal      *seal.Server
	dispatch  *command.Dispatcher
	queries   *live.Queries
	bus       *live.Bus
	content   *content.Manager
	members   *group.Members
	retention *upkeep.Retention
	api       *api.API
	receiver  *ingest.Receiver
	metrics   *metrics
	sinks     *export.Manager
	events    chan seal.Event
	engine    *gin.Engine
	// stopping ends when the server begins to stop.
	stopping context.Context
	stop     context.CancelFunc
}

// New puts a server together and takes up what was open when it stopped last.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Store == nil || o.Keys == nil {
		return nil, errors.New("make the server: it needs a store and keys")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.ResponseLife == 0 {
		o.ResponseLife = time.Hour
	}
	s := &Server{o: o, bus: live.NewBus(), events: make(chan seal.Event, 4096)}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.metrics = newMetrics(s)
	check, err := newStatements()
	if err != nil {
		return nil, err
	}
	s.content = content.New(o.Store, check, o.Log)
	s.members = group.NewMembers(o.Store)
	s.retention = upkeep.New(o.Store, o.Now, o.Log)
	s.receiver = ingest.New(ingest.Options{
		Store: o.Store, Bus: s.bus, Classes: s.content.QueryClasses, Now: o.Now, Log: o.Log, Count: s.metrics.record,
		Reported: func(host string, serial uint64) { s.dispatch.Reported(host, serial) },
		Joined:   s.joined,
	})
	s.seal, err = seal.NewServer(seal.ServerOptions{Keys: o.Keys, Hosts: s.receiver, Receiver: s.receiver, Events: s.event, Now: o.Now})
	if err != nil {
		return nil, err
	}
	s.dispatch = command.New(s.seal, o.Store, s.content.Configured, o.Now, o.Log)
	s.content.OnChange(s.dispatch.Reconfigure, s.dispatch.ReconfigureHost)
	s.queries = live.NewQueries(o.Store, s.dispatch, o.Now, o.Log)
	if s.sinks, err = export.New(ctx, export.Options{Store: o.Store, Sinks: o.Sinks, Now: o.Now, Log: o.Log}); err != nil {
		return nil, err
	}
	s.metrics.registry.MustRegister(s.sinks)
	s.api = api.New(api.Options{Store: o.Store, Dispatch: s.dispatch, Queries: s.queries, Bus: s.bus, SQL: check, Content: s.content, Members: s.members, Upkeep: s.retention,
		Enrol: s, EndSessions: s.seal.EndSessions, ResponseLife: o.ResponseLife, Now: o.Now, Log: o.Log, Logins: s.metrics.login,
		Sinks: s.sinks.States, Stopping: s.stopping})
	if err := upkeep.Init(ctx, o.Store); err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	if err := s.content.Seed(ctx, o.ContentDir); err != nil {
		return nil, fmt.Errorf("take up rules and packs: %w", err)
	}
	if err := s.resume(ctx); err != nil {
		return nil, err
	}
	s.engine = s.routes()
	return s, nil
}

// resume takes up the queries and responses that were open.
func (s *Server) resume(ctx context.Context) error {
	if err := s.queries.Resume(ctx); err != nil {
		return fmt.Errorf("take up live queries: %w", err)
	}
	pending, err := s.o.Store.ListResponses(ctx, store.Everything(), store.ResponseFilter{States: []string{store.ResponsePending}, Limit: 100000})
	if err != nil {
		return fmt.Errorf("take up responses: %w", err)
	}
	for i := len(pending) - 1; i >= 0; i-- { // the oldest first
		if err := s.api.SendResponse(pending[i]); err != nil {
			s.o.Log.Error("a response was not queued", "response", pending[i].ID, "err", err)
		}
	}
	return nil
}

// joined puts a host that is new or has changed into its groups.
func (s *Server) joined(ctx context.Context, host string) error {
	if _, err := s.members.Host(ctx, host); err != nil {
		return err
	}
	err := s.content.HostChanged(ctx, host)
	var large *content.TooLarge
	if errors.As(err, &large) { // the host joins all the same
		s.o.Log.Error("a host gets no configuration of its groups", "host", host, "err", err)
		return nil
	}
	return err
}

// Handler is the whole server as an http.Handler.
func (s *Server) Handler() http.Handler { return s.engine }

// event takes an event of the protocol; it must not block.
func (s *Server) event(e seal.Event) {
	s.metrics.event(string(e.Kind))
	select {
	case s.events <- e:
	default:
		s.metrics.eventsDropped.Inc()
	}
}

// Run does what goes on by itself until ctx ends: it keeps who is online, ends
// what expires, and tells of events.
func (s *Server) Run(ctx context.Context) {
	second, tenth := time.NewTicker(time.Second), time.NewTicker(10*time.Second)
	defer second.Stop()
	defer tenth.Stop()
	online := map[string]bool{}
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { s.retention.Work(ctx) })
	working.Go(func() {
		s.sinks.Run(ctx)
		if err := s.sinks.Close(); err != nil {
			s.o.Log.Error("a sink was not closed", "err", err)
		}
	})
	for {
		select {
		case <-ctx.Done():
			s.keepSightings(context.WithoutCancel(ctx))
			return
		case e := <-s.events:
			s.receiver.Event(ctx, e)
		case <-second.C:
			s.expire(ctx)
			online = s.turns(online)
		case <-tenth.C:
			s.keepSightings(ctx)
		}
	}
}

func (s *Server) keepSightings(ctx context.Context) {
	if err := s.o.Store.SeeHosts(ctx, store.Everything(), s.dispatch.Sightings()); err != nil {
		s.o.Log.Error("when hosts were seen was not kept", "err", err)
	}
}

// turns tells the pages of hosts that came or went since the last look.
func (s *Server) turns(was map[string]bool) map[string]bool {
	now := s.dispatch.OnlineHosts()
	for host := range now {
		if !was[host] {
			s.bus.Publish(live.Change{Topic: live.TopicHost, ID: host})
		}
	}
	for host := range was {
		if !now[host] {
			s.bus.Publish(live.Change{Topic: live.TopicHost, ID: host})
		}
	}
	return now
}

func (s *Server) expire(ctx context.Context) {
	s.queries.Expire(ctx)
	over, err := s.o.Store.ExpireResponses(ctx, store.Everything(), s.o.Now())
	if err != nil {
		s.o.Log.Error("responses were not expired", "err", err)
		return
	}
	for _, r := range over {
		s.dispatch.Withdraw(r.Host, r.ID)
		s.bus.Publish(live.Change{Topic: live.TopicResponse, ID: r.ID})
	}
}

// Stop lets polls and streams end; the listener can then be shut down.
func (s *Server) Stop() { s.stop() }

// EnrolToken implements api.Enroller.
func (s *Server) EnrolToken() (text, secret string, err error) {
	t, err := s.o.Keys.Token(s.o.Address)
	if err != nil {
		return "", "", err
	}
	return t.String(), t.Secret, nil
}

// EnrolCommand implements api.Enroller.
func (s *Server) EnrolCommand() string {
	return "sudo edr-agent -server " + s.o.Address + " -enroll-file token.txt"
}

// ContentFolder is where a data folder's local rules and packs are.
func ContentFolder(data string) string { return filepath.Join(data, "content") }
