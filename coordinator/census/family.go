package census

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/coordinator"
)

// families are the metrics, under the names that operators know where there are any.
type families struct {
	unavailable, repairs, audits           *prometheus.Desc
	turns, oldest, due, proxies, kept, age *prometheus.Desc
}

func newFamilies() families {
	family := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gitaly_praefect_"+name, help, labels, nil)
	}
	return families{
		unavailable: family("unavailable_repositories",
			"Number of repositories that have no healthy, up to date replicas.",
			"virtual_storage"),
		repairs: family("replication_queue_depth",
			"Number of jobs in the replication queue", "virtual_storage", "target_node", "state"),
		audits: family("verification_queue_depth",
			"Number of replicas pending verification.", "virtual_storage", "storage", "status"),
		turns: family("open_turns",
			"Turns that are held by proxies, or left to recovery, in the whole cluster", "state"),
		oldest: family("oldest_turn_seconds", "Age of the oldest open turn, 0 without one"),
		due: family("repositories_due",
			"Repositories that wait for the end of their creation or deletion, "+
				"or for a comparison of their replicas", "work"),
		proxies: family("live_proxies", "Proxies whose lease holds"),
		kept: family("invalidations_kept",
			"Changes of routes that are kept until all proxies know them"),
		age: family("database_count_age_seconds",
			"Time since the database was asked for what is shown here"),
	}
}

func (f families) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		f.unavailable, f.repairs, f.audits, f.turns, f.oldest, f.due, f.proxies, f.kept, f.age,
	}
}

// count is one question to the store.
type count struct {
	name string
	// failed is the message that operators look for.
	failed string
	ask    func(context.Context) ([]coordinator.Tally, error)
	show   func([]coordinator.Tally) []prometheus.Metric
}

func (c *Census) counts() []count {
	counts := []count{{
		name: "unavailable", failed: "failed collecting unavailable repository count metric",
		ask: func(ctx context.Context) ([]coordinator.Tally, error) {
			return c.Store.TallyUnavailable(ctx, c.Cluster.Places(c.Health.Healthy))
		},
		show: c.showUnavailable,
	}, {
		name: "repairs", failed: "failed to query queue depth metrics",
		ask: c.Store.TallyRepairs, show: c.showRepairs,
	}, {
		name: "work", failed: "failed to query open turns and due work",
		ask: c.Store.TallyWork, show: c.showWork,
	}}
	if c.config.Interval <= 0 {
		return counts
	}
	return append(counts, count{
		name: "verifications", failed: "failed to query verification queue depth metric",
		ask: func(ctx context.Context) ([]coordinator.Tally, error) {
			return c.Store.TallyAudits(ctx, c.Cluster.Places(nil), c.config.Interval)
		},
		show: c.showAudits,
	})
}

// showUnavailable has a series for each configured virtual storage.
func (c *Census) showUnavailable(tallies []coordinator.Tally) []prometheus.Metric {
	found := map[coordinator.VirtualStorage]int64{}
	for _, tally := range tallies {
		found[tally.VirtualStorage] = tally.Number
	}
	var metrics []prometheus.Metric
	for virtual := range c.Cluster.VirtualStorages {
		metrics = append(metrics,
			gauge(c.families.unavailable, float64(found[virtual]), string(virtual)))
	}
	return metrics
}

// showRepairs leaves out storages that are not configured any more: rows of their replicas stay,
// and nobody repairs them.
func (c *Census) showRepairs(tallies []coordinator.Tally) []prometheus.Metric {
	configured := c.Cluster.Places(nil)
	metrics := make([]prometheus.Metric, 0, len(tallies))
	for _, tally := range tallies {
		if !slices.Contains(configured, tally.Place) {
			continue
		}
		metrics = append(metrics, gauge(c.families.repairs, float64(tally.Number),
			string(tally.VirtualStorage), string(tally.Storage), tally.State))
	}
	return metrics
}

// showAudits has two series for each configured storage.
func (c *Census) showAudits(tallies []coordinator.Tally) []prometheus.Metric {
	type group struct {
		coordinator.Place
		status string
	}
	found := map[group]int64{}
	for _, tally := range tallies {
		found[group{tally.Place, tally.State}] = tally.Number
	}
	var metrics []prometheus.Metric
	for _, place := range c.Cluster.Places(nil) {
		for _, status := range []string{"unverified", "expired"} {
			metrics = append(metrics, gauge(c.families.audits,
				float64(found[group{place, status}]),
				string(place.VirtualStorage), string(place.Storage), status))
		}
	}
	return metrics
}

func (c *Census) showWork(tallies []coordinator.Tally) []prometheus.Metric {
	found := map[string]float64{}
	for _, tally := range tallies {
		found[tally.State] = float64(tally.Number)
	}
	f := c.families
	metrics := []prometheus.Metric{
		gauge(f.oldest, found[coordinator.TallyOldest]*time.Millisecond.Seconds()),
		gauge(f.proxies, found[coordinator.TallyProxies]),
		gauge(f.kept, found[coordinator.TallyInvalidations]),
	}
	for _, state := range []string{coordinator.TallyHeld, coordinator.TallyLeft} {
		metrics = append(metrics, gauge(f.turns, found[state], state))
	}
	for _, work := range []string{
		coordinator.TallyCreation, coordinator.TallyDeletion, coordinator.TallyVerification,
	} {
		metrics = append(metrics, gauge(f.due, found[work], work))
	}
	return metrics
}

func gauge(family *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(family, prometheus.GaugeValue, value, labels...)
}
