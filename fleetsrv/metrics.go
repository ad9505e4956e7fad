package fleetsrv

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// metrics is what the server counts, in a registry of its own.
type metrics struct {
	server        *Server
	registry      *prometheus.Registry
	records       *prometheus.CounterVec
	events        *prometheus.CounterVec
	eventsDropped prometheus.Counter
	logins        *prometheus.CounterVec
	requests      *prometheus.HistogramVec
	handler       http.Handler
}

func newMetrics(s *Server) *metrics {
	m := &metrics{server: s, registry: prometheus.NewRegistry(),
		records:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edr_records_total", Help: "Records that hosts delivered, by kind and what became of them."}, []string{"kind", "outcome"}),
		events:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edr_protocol_events_total", Help: "What the sealed protocol noticed, by kind."}, []string{"kind"}),
		eventsDropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "edr_protocol_events_dropped_total", Help: "Events of the protocol that came faster than they could be kept; they are counted above all the same."}),
		logins:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edr_logins_total", Help: "Logins, by outcome."}, []string{"outcome"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "edr_http_request_seconds", Help: "Time of requests, by route, method and status; polls and streams wait by design.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60}}, []string{"route", "method", "status"}),
	}
	m.registry.MustRegister(m.records, m.events, m.eventsDropped, m.logins, m.requests, (*gauges)(m),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) record(kind wire.Kind, outcome string, n int) {
	if n == 0 {
		return
	}
	k := string(kind)
	switch kind {
	case wire.KindHit, wire.KindResult, wire.KindOutcome, wire.KindHealth, wire.KindProblem, wire.KindGap:
	case "":
		k = "any"
	default: // a host must not invent label values
		k = "other"
	}
	m.records.WithLabelValues(k, outcome).Add(float64(n))
}

func (m *metrics) event(kind string) { m.events.WithLabelValues(kind).Inc() }

func (m *metrics) login(ok bool) {
	outcome := "failed"
	if ok {
		outcome = "ok"
	}
	m.logins.WithLabelValues(outcome).Inc()
}

func (m *metrics) request(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "console"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// gauges are read when they are asked for.
type gauges metrics

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector; what Collect sends is not known
// before, which an empty description says.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	s := g.server
	if s.dispatch == nil {
		return
	}
	gauge := func(name, help string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc(name, help), prometheus.GaugeValue, v, labels...)
	}
	st := s.dispatch.Stats()
	gauge("edr_polls", "Long polls of hosts that wait now.", float64(st.Polls))
	gauge("edr_commands_waiting", "Commands that wait for their hosts or for them to take them.", float64(st.Waiting))
	gauge("edr_sessions", "Sealed sessions that are open.", float64(s.seal.Sessions()))
	gauge("edr_live_queries_open", "Live queries that have not ended.", float64(s.queries.Open()))
	gauge("edr_streams", "Pages that follow changes.", float64(s.bus.Subscribers()))
	ch <- prometheus.MustNewConstMetric(desc("edr_commands_lost_total", "Commands given up because no host took them."), prometheus.CounterValue, float64(st.Lost))
	handed := desc("edr_commands_total", "Commands handed to hosts, by type.", "type")
	for k, n := range st.Handed {
		ch <- prometheus.MustNewConstMetric(handed, prometheus.CounterValue, float64(n), string(k))
	}
	deleted := desc("edr_deleted_total", "What was deleted for its age, by kind.", "kind")
	gone := s.retention.Total()
	for kind, n := range map[string]int64{"result": gone.Results, "hit": gone.Hits, "alert": gone.Alerts, "query": gone.Queries} {
		ch <- prometheus.MustNewConstMetric(deleted, prometheus.CounterValue, float64(n), kind)
	}
	if run := s.retention.LastRun(); run != nil {
		gauge("edr_retention_held_back", "Results that are old enough to go and stay, because a sink has not been sent them.", float64(run.HeldBack))
	}
	refused := desc("edr_refused_total", "Messages of hosts that were refused, by reason.", "reason")
	for k, n := range s.seal.Counters.Map() {
		ch <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(n), k)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	hosts, err := s.o.Store.ListHosts(ctx, store.Everything(), store.HostFilter{Online: s.o.Now().Add(-command.OnlineFor), Limit: 0})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(desc("edr_hosts", "Hosts, by status."), err)
		return
	}
	d := desc("edr_hosts", "Hosts, by status.", "status")
	for status, n := range map[string]int{"online": hosts.Online, "offline": hosts.Offline, "pending": hosts.Waiting} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), status)
	}
}

// serveMetrics answers this machine, and elsewhere who has an API token: the
// counts tell much about a fleet.
func (s *Server) serveMetrics(c *gin.Context) {
	ip := net.ParseIP(c.RemoteIP())
	if ip == nil || !ip.IsLoopback() {
		token, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
		if _, _, err := s.o.Store.TokenByHash(c.Request.Context(), store.Everything(), auth.Hash(token), s.o.Now()); err != nil {
			c.JSON(http.StatusUnauthorized, apiError("unauthorized", "from another machine metrics need an API token (Authorization: Bearer …)"))
			return
		}
	}
	s.metrics.handler.ServeHTTP(c.Writer, c.Request)
}
