package export

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var _ prometheus.Collector = (*Manager)(nil)

// Describe implements prometheus.Collector; what Collect sends is not known
// before, which an empty description says.
func (m *Manager) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector: what the API shows of each sink.
func (m *Manager) Collect(ch chan<- prometheus.Metric) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"sink"}, labels...), nil)
	}
	documents := desc("edr_sink_documents_total", "Documents by what became of them: sent, dead_lettered, withheld by the sink's configuration, or missed.", "outcome")
	up := desc("edr_sink_up", "Whether the sink took its last batch.")
	lag := desc("edr_sink_lag_records", "Records that wait for the sink.")
	age := desc("edr_sink_lag_seconds", "How long the first of them has waited.")
	failures := desc("edr_sink_failures", "Batches that the sink did not take, in a row.")
	last := desc("edr_sink_last_ok_timestamp_seconds", "When the sink was last well.")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	states, err := m.States(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(documents, err)
		return
	}
	for _, s := range states {
		for outcome, n := range map[string]int64{"sent": s.Sent, "dead_lettered": s.Dead, "withheld": s.Withheld, "missed": s.Missed} {
			ch <- prometheus.MustNewConstMetric(documents, prometheus.CounterValue, float64(n), s.Name, outcome)
		}
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Name)
		}
		well := 0.0
		if s.State == StateOK {
			well = 1
		}
		gauge(up, well)
		gauge(lag, float64(s.LagRecords))
		gauge(age, s.LagSeconds)
		gauge(failures, float64(s.Failures))
		if s.LastOK != nil {
			gauge(last, float64(s.LastOK.UnixNano())/1e9)
		}
	}
}
