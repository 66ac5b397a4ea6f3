package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
	"praefect/coordinator/postgres"
)

const (
	// latencySamples is how often the database is asked, after the first time.
	latencySamples = 5
	// latencyHigh: a write waits for two round trips.
	latencyHigh = 10 * time.Millisecond
	// turnOld is how long no turn should be held.
	turnOld = time.Minute
	// listenWait bounds the wait for a notice of our own.
	listenWait = 3 * time.Second
)

// examineDatabase looks at PostgreSQL and at what lies in it.
func examineDatabase(ctx context.Context, c *chart, config *configfile.Loaded) {
	store, err := openStore(ctx, config)
	if err != nil {
		c.add("connection", stateFail, err.Error(), "check [database] and that PostgreSQL runs, "+
			"accepts connections from this host, and is the writable primary")

		return
	}
	defer store.Close()
	c.ok("connection", "reached, and accepts writes")
	examineLatency(ctx, c, store)
	if err := checkMigrations(ctx, config, io.Discard); err != nil {
		c.add("schema", stateFail, err.Error(), "run praefect sql-migrate with the newest "+
			"release that is in use")

		return // The rest needs the tables.
	}
	c.ok("schema", "all migrations have run")
	examineServer(ctx, c, store)
	if err := store.ProbeWrite(ctx); err != nil {
		c.add("write", stateFail, err.Error(), "give the role of [database] the right to write")
	} else {
		c.ok("write", "succeeds")
	}
	examineNotices(ctx, c, store)
	examineWork(ctx, c, store, config.Cluster().Places(nil))
}

// examineLatency measures round trips, and the clock by the fastest of them.
func examineLatency(ctx context.Context, c *chart, store *postgres.Store) {
	type sample struct{ took, ahead time.Duration }
	var samples []sample
	for range latencySamples + 1 {
		asked := time.Now()
		clock, err := store.Clock(ctx)
		took := time.Since(asked)
		if err != nil {
			c.add("latency", stateFail, err.Error(), "")

			return
		}
		samples = append(samples, sample{took, clock.Sub(asked.Add(took / 2))})
	}
	samples = samples[1:] // The first has connected.
	slices.SortFunc(samples, func(a, b sample) int { return int(a.took - b.took) })
	middle := samples[len(samples)/2].took
	if middle > latencyHigh {
		c.add("latency", stateWarn, middle.Round(time.Microsecond).String()+" a round trip",
			"each write waits for two: bring the database nearer, or find out why it is slow")
	} else {
		c.ok("latency", "%s a round trip", middle.Round(time.Microsecond))
	}
	examineClock(c, samples[0].ahead, samples[0].took/2)
}

// examineServer asks the server about itself.
func examineServer(ctx context.Context, c *chart, store *postgres.Store) {
	vitals, err := store.Vitals(ctx)
	if err != nil {
		c.add("role", stateFail, err.Error(), "")

		return
	}
	switch {
	case vitals.Standby:
		c.add("role", stateFail, "is a standby", "connect to the primary")
	case vitals.ReadOnly:
		c.add("role", stateFail, "is read-only",
			"reset default_transaction_read_only, or connect to another server")
	default:
		c.ok("role", "writable primary, PostgreSQL %s", vitals.Version)
	}
	switch {
	case vitals.FsyncOff:
		c.add("durability", stateFail, "fsync is off",
			"turn it on: a crash of the host may lose acknowledged writes")
	case vitals.CommitOff:
		c.add("durability", stateWarn, "synchronous_commit is off",
			"turn it on: a crash of the server may forget which replica is current")
	default:
		c.ok("durability", "what is committed is on disk")
	}
	if len(vitals.Proxies) == 0 {
		c.add("proxies", stateWarn, "none has a lease", "start praefect serve; if it runs, its "+
			"log says what it waits for")
	} else {
		c.ok("proxies", "with a lease: %s", strings.Join(vitals.Proxies, ", "))
	}
}

func examineNotices(ctx context.Context, c *chart, store *postgres.Store) {
	ctx, cancel := context.WithTimeout(ctx, listenWait)
	defer cancel()
	if err := store.Listens(ctx); err != nil {
		c.add("notices", stateWarn, err.Error(), "behind a pooler by transactions set "+
			"[database.session_pooled]; without notices proxies poll, and answers to writes "+
			"that leave a replica behind take longer")

		return
	}
	c.ok("notices", "arrive")
}

// examineWork looks for what does not come to an end by itself.
func examineWork(
	ctx context.Context, c *chart, store *postgres.Store, places []coordinator.Place,
) {
	turns, err := store.HeldTurns(ctx, 1)
	switch {
	case err != nil:
		c.add("writes", stateFail, err.Error(), "")
	case len(turns) > 0 && turns[0].Age > turnOld:
		c.add("writes", stateWarn, fmt.Sprintf("a write of %s is undecided for %s",
			turns[0].Key, turns[0].Age.Round(time.Second)), "see praefect intents")
	default:
		c.ok("writes", "none is undecided for long")
	}
	repairs, err := store.DueRepairs(ctx, places, limitDefault)
	failing := slices.DeleteFunc(repairs, func(r postgres.DueRepair) bool {
		return r.Failures == 0
	})
	switch {
	case err != nil:
		c.add("repairs", stateFail, err.Error(), "")
	case len(failing) > 0:
		c.add("repairs", stateWarn, fmt.Sprintf("%d fail, for example of %s on %q: %s",
			len(failing), failing[0].Key, failing[0].Storage, failing[0].LastError),
			"see praefect repairs and praefect transactions")
	default:
		c.ok("repairs", "none has failed")
	}
}
