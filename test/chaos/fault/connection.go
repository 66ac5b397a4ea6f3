package fault

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"praefect/coordinator/postgres/pgserver"
	"praefect/test/chaos/link"
	"praefect/test/cluster"
)

const (
	refuseMin, refuseMax = 500 * time.Millisecond, 8 * time.Second
	stallMin, stallMax   = time.Second, 10 * time.Second
)

// proxyLane breaks what is around proxies, except their connections to nodes.
func (in *Injector) proxyLane() *lane {
	// The database is nobody else's, so it comes twice.
	return &lane{wanted: in.Wanted, moves: []move{
		{Kill, in.killProxy},
		{Freeze, in.freezeProxy},
		{Refuse, in.refuseProxy},
		{Stall, in.stallProxy},
		{Database, in.restartDatabase},
		{Database, in.restartDatabase},
	}}
}

// nodeLane breaks what is around nodes.
func (in *Injector) nodeLane() *lane {
	return &lane{calm: in.Calm, wanted: in.Wanted, moves: []move{
		{Kill, in.killNode},
		{Freeze, in.freezeNode},
		{Refuse, in.refuseNode},
		{Stall, in.stallNode},
		{Disk, in.fillDisk},
	}}
}

// connectionsOfProxy is what a proxy has with the balancer or the database.
func (in *Injector) connectionOfProxy(random *rand.Rand) (*link.Link, *link.Door) {
	target := choose(random, in.Targets)
	if random.IntN(2) == 0 {
		return target.Link, nil
	}
	door := in.Doors[Between{target.Link.To, cluster.DatabaseParty}]
	connection := door.Link()

	return connection, door
}

func (in *Injector) refuseProxy(ctx context.Context, random *rand.Rand) error {
	connection, door := in.connectionOfProxy(random)
	d := in.setter(link.Refused, connection)
	if door != nil {
		d = deed{breakIt: door.Refuse, mend: door.Allow}
	}

	return in.inflict(ctx, Fault{Kind: Refuse, From: connection.From, To: connection.To},
		mostlyShort(random, refuseMin, refuseMax), d)
}

func (in *Injector) stallProxy(ctx context.Context, random *rand.Rand) error {
	connection, _ := in.connectionOfProxy(random)

	return in.inflict(ctx, Fault{Kind: Stall, From: connection.From, To: connection.To},
		mostlyShort(random, stallMin, stallMax), in.setter(link.Stalled, connection))
}

// setter sets links to a state, and mends them by opening them.
func (in *Injector) setter(state link.State, links ...*link.Link) deed {
	set := func(state link.State) func() error {
		return func() error {
			for _, l := range links {
				l.Set(state)
			}

			return nil
		}
	}

	return deed{breakIt: set(state), mend: set(link.Open)}
}

// betweenNodes are the links through which one node reaches another: by the doors of all proxies,
// as it is a proxy that tells it where to copy from.
func (in *Injector) betweenNodes(random *rand.Rand) []*link.Link {
	order := random.Perm(len(in.Nodes))
	from, to := in.Nodes[order[0]].Storage, in.Nodes[order[1]].Storage
	var links []*link.Link
	for between, door := range in.Doors {
		if between.To == to {
			links = append(links, door.Other(from))
		}
	}

	return links
}

// nodesOnly tells whether it is two nodes whose connections are broken this time.
func (in *Injector) nodesOnly(random *rand.Rand) bool {
	const third = 3

	return len(in.Nodes) > 1 && random.IntN(third) == 0
}

func (in *Injector) refuseNode(ctx context.Context, random *rand.Rand) error {
	length := mostlyShort(random, refuseMin, refuseMax)
	if in.nodesOnly(random) {
		links := in.betweenNodes(random)

		return in.inflict(ctx, Fault{Kind: Refuse, From: links[0].From, To: links[0].To}, length,
			in.setter(link.Refused, links...))
	}
	proxy, node := choose(random, in.Proxies), choose(random, in.Nodes)
	door := in.Doors[Between{proxy.Name, node.Storage}]

	return in.inflict(ctx, Fault{Kind: Refuse, From: proxy.Name, To: node.Storage}, length,
		deed{breakIt: door.Refuse, mend: door.Allow})
}

func (in *Injector) stallNode(ctx context.Context, random *rand.Rand) error {
	length := mostlyShort(random, stallMin, stallMax)
	if in.nodesOnly(random) {
		links := in.betweenNodes(random)

		return in.inflict(ctx, Fault{Kind: Stall, From: links[0].From, To: links[0].To}, length,
			in.setter(link.Stalled, links...))
	}
	proxy, node := choose(random, in.Proxies), choose(random, in.Nodes)
	door := in.Doors[Between{proxy.Name, node.Storage}]

	return in.inflict(ctx, Fault{Kind: Stall, From: proxy.Name, To: node.Storage}, length,
		in.setter(link.Stalled, door.Link()))
}

func (in *Injector) restartDatabase(ctx context.Context, random *rand.Rand) error {
	mode := choose(random, []pgserver.Mode{pgserver.Fast, pgserver.Immediate})
	name := cluster.DatabaseParty

	return in.inflict(ctx, Fault{Kind: Database, To: name}, mostlyShort(random, 0, 3*time.Second),
		deed{
			breakIt: func() error { return errors.Join(in.Server.Halt(mode), in.shut(name)) },
			mend: func() error {
				return errors.Join(restart(ctx, name, in.Server.Resume), in.open(name))
			},
		})
}
