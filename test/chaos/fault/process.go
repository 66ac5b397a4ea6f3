package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"praefect/test/chaos/link"
	"praefect/test/cluster"
)

const (
	// startWait is how long a killed party may take until it serves again.
	startWait = 30 * time.Second

	downMin, downMax     = 300 * time.Millisecond, 4 * time.Second
	freezeMin, freezeMax = time.Second, 15 * time.Second
	fullMin, fullMax     = time.Second, 5 * time.Second
)

// ErrGone is returned when a party does not come back.
var ErrGone = errors.New("does not come back")

func (in *Injector) killProxy(ctx context.Context, random *rand.Rand) error {
	proxy := choose(random, in.Proxies)

	return in.killOne(ctx, proxy, mostlyShort(random, downMin, downMax))
}

func (in *Injector) killOne(
	ctx context.Context, proxy *cluster.Proxy, length time.Duration,
) error {
	return in.inflict(ctx, Fault{Kind: Kill, To: proxy.Name}, length,
		deed{breakIt: proxy.Process().Kill, mend: func() error {
			return restart(ctx, proxy.Name, proxy.Start)
		}})
}

func (in *Injector) killNode(ctx context.Context, random *rand.Rand) error {
	node := choose(random, in.Nodes)

	return in.killOneNode(ctx, node, mostlyShort(random, downMin, downMax))
}

func (in *Injector) killOneNode(
	ctx context.Context, node *cluster.Node, length time.Duration,
) error {
	return in.inflict(ctx, Fault{Kind: Kill, To: node.Storage}, length,
		deed{
			breakIt: func() error { return errors.Join(node.Kill(), in.shut(node.Storage)) },
			mend: func() error {
				return errors.Join(restart(ctx, node.Storage, node.Start), in.open(node.Storage))
			},
		})
}

// restart starts a party, whether the run has ended meanwhile or not.
func restart(
	ctx context.Context, name string, start func(ctx context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWait)
	defer cancel()
	if err := start(ctx); err != nil {
		return fmt.Errorf("%s %w: %w", name, ErrGone, err)
	}

	return nil
}

// shut makes the doors to a party behave as if nobody listened there.
func (in *Injector) shut(to string) error { return in.doorsTo(to, (*link.Door).Refuse) }

func (in *Injector) open(to string) error { return in.doorsTo(to, (*link.Door).Allow) }

func (in *Injector) doorsTo(to string, do func(*link.Door) error) error {
	var errs []error
	for between, door := range in.Doors {
		if between.To == to {
			errs = append(errs, do(door))
		}
	}

	return errors.Join(errs...)
}

func (in *Injector) freezeProxy(ctx context.Context, random *rand.Rand) error {
	proxy := choose(random, in.Proxies)

	return in.freeze(ctx, proxy.Name, proxy.Process(), mostlyShort(random, freezeMin, freezeMax))
}

func (in *Injector) freezeNode(ctx context.Context, random *rand.Rand) error {
	node := choose(random, in.Nodes)

	return in.freeze(ctx, node.Storage, node.Process(), mostlyShort(random, freezeMin, freezeMax))
}

func (in *Injector) freeze(
	ctx context.Context, name string, process *cluster.Process, length time.Duration,
) error {
	return in.inflict(ctx, Fault{Kind: Freeze, To: name}, length,
		deed{breakIt: process.Pause, mend: process.Resume})
}

func (in *Injector) fillDisk(ctx context.Context, random *rand.Rand) error {
	node := choose(random, in.Nodes)

	return in.fill(ctx, node, mostlyShort(random, fullMin, fullMax))
}

func (in *Injector) fill(ctx context.Context, node *cluster.Node, length time.Duration) error {
	return in.inflict(ctx, Fault{Kind: Disk, To: node.Storage}, length,
		deed{
			breakIt: func() error { return in.Disks.fill(node) },
			mend:    func() error { return in.Disks.free(node) },
		})
}
