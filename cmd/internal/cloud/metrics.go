package cloud

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sidekeep/syncproto"
)

// metrics are the server's counters. Their labels are message types and error
// codes, never an id.
type metrics struct {
	registry *prometheus.Registry
	sessions prometheus.Gauge
	live     prometheus.Gauge
	ended    *prometheus.CounterVec // code
	messages *prometheus.CounterVec // direction, type
	bytes    *prometheus.CounterVec // direction
	versions *prometheus.CounterVec // outcome
	chunks   *prometheus.CounterVec // direction
	claims   *prometheus.CounterVec // verdict
	failures *prometheus.CounterVec // code
	store    *prometheus.HistogramVec

	turnedAway *prometheus.CounterVec // reason
	waits      *prometheus.CounterVec // reason
	broken     prometheus.Counter
}

func newMetrics() *metrics {
	name := func(n string) string { return "sidekeep_cloud_" + n }
	counter := func(n, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(n), Help: help}, labels)
	}
	m := &metrics{
		registry:   prometheus.NewRegistry(),
		sessions:   prometheus.NewGauge(prometheus.GaugeOpts{Name: name("sessions"), Help: "Open connections, authenticated or not."}),
		live:       prometheus.NewGauge(prometheus.GaugeOpts{Name: name("sessions_live"), Help: "Sessions that follow their account's log."}),
		ended:      counter("sessions_ended_total", "Sessions that ended, by the reason.", "code"),
		messages:   counter("messages_total", "Messages, by direction and type.", "direction", "type"),
		bytes:      counter("message_bytes_total", "Bytes of messages, by direction.", "direction"),
		versions:   counter("versions_total", "Pushed versions: stored, known already or dominated, rejected.", "outcome"),
		chunks:     counter("chunks_total", "Chunks, by direction.", "direction"),
		claims:     counter("claims_total", "Claims, by verdict.", "verdict"),
		failures:   counter("store_failures_total", "Operations that the storage could not do, by error code.", "code"),
		turnedAway: counter("turned_away_total", "Connections closed before authentication: the address had its share, the oldest made room, time was over.", "reason"),
		waits:      counter("waits_total", "Sessions told to come back later: too many sessions, too many accounts that write in bulk.", "reason"),
		broken:     prometheus.NewCounter(prometheus.CounterOpts{Name: name("sessions_broken_total"), Help: "Sessions that ended in a panic: a bug."}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name("store_seconds"), Help: "Time of storage operations, commit included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"operation"}),
	}
	m.registry.MustRegister(m.sessions, m.live, m.ended, m.messages, m.bytes, m.versions, m.chunks, m.claims, m.failures, m.store, m.turnedAway, m.waits, m.broken,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) message(direction string, t syncproto.Type, bytes int) {
	m.messages.WithLabelValues(direction, t.String()).Inc()
	m.bytes.WithLabelValues(direction).Add(float64(bytes))
}

func (m *metrics) timed(operation string, began time.Time) {
	m.store.WithLabelValues(operation).Observe(time.Since(began).Seconds())
}
