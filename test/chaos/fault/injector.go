package fault

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"praefect/coordinator/postgres/pgserver"
	"praefect/test/chaos/link"
	"praefect/test/cluster"
)

// Config says what can be broken.
type Config struct {
	Nodes   []*cluster.Node
	Proxies []*cluster.Proxy
	Server  *pgserver.Server
	Disks   *Disks
	// Targets are the proxies behind the balancer, Doors those of each proxy to the others by the
	// names of both. The door of a proxy to a node is used by other nodes too.
	Targets []link.Target
	Doors   map[Between]*link.Door
	Seed    uint64
	// Program chooses what is broken.
	Program Program
	// Now is the clock of the history.
	Now func() time.Duration
	// Primary returns the relative paths of repositories whose primary is a storage.
	Primary func(ctx context.Context, storage string) []string
	// Calm tells whether no replica is behind.
	Calm func(ctx context.Context) bool
	// Wanted tells whether more faults of a kind are wanted. Programs do not ask.
	Wanted func(Kind) bool
	// Rest waits until no client has a call under way, and keeps all from beginning another until
	// the returned function is called.
	Rest func() (resume func())
	// Muster compares all replicas. It is called when all is mended and the clients rest.
	Muster func(ctx context.Context) error
	// Report is told of every fault when it is over.
	Report func(Fault)
}

// Between names a party and whom it talks to.
type Between struct{ From, To string }

// Injector breaks things.
type Injector struct {
	Config

	mu     sync.Mutex // guards the field below
	faults []Fault
}

// New returns an injector.
func New(config Config) *Injector { return &Injector{Config: config} }

// Faults returns what was broken and mended so far.
func (in *Injector) Faults() []Fault {
	in.mu.Lock()
	defer in.mu.Unlock()

	return append([]Fault(nil), in.faults...)
}

// Run breaks one thing after the other until the context ends. Then everything is mended. An error
// says that something could not be broken or mended.
func (in *Injector) Run(ctx context.Context) error {
	if in.Program != Everything {
		return in.repeat(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	lanes := []*lane{in.proxyLane(), in.nodeLane()}
	errs := make([]error, len(lanes)+1)
	var running sync.WaitGroup
	running.Go(func() {
		random := rand.New(rand.NewPCG(in.Seed, uint64(len(lanes))))
		errs[len(lanes)] = in.duets(ctx, random, lanes)
		if errs[len(lanes)] != nil {
			cancel()
		}
	})
	for i, l := range lanes {
		l.random = rand.New(rand.NewPCG(in.Seed, uint64(i)))
		running.Go(func() {
			errs[i] = l.run(ctx)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	running.Wait()

	return errors.Join(errs...)
}

// inflict breaks something, waits, mends it, and reports that. It mends even if breaking failed
// halfway. When the run has ended it does nothing: what is mended at once counts as no fault.
func (in *Injector) inflict(ctx context.Context, f Fault, length time.Duration, d deed) error {
	if over(ctx) {
		return nil
	}
	if f.From == "" && f.To != cluster.DatabaseParty || f.Kind == Refuse || f.Kind == Stall {
		f.Primary = in.Primary(ctx, f.To)
	}
	f.Start = in.Now()
	err := d.breakIt()
	if err == nil {
		pause(ctx, length)
	}
	err = errors.Join(err, d.mend())
	f.End = in.Now()
	if err != nil {
		return err
	}

	in.mu.Lock()
	in.faults = append(in.faults, f)
	in.mu.Unlock()
	in.Report(f)

	return nil
}

// deed is how something is broken and mended.
type deed struct{ breakIt, mend func() error }

// pause waits, at most until the context ends.
func pause(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
