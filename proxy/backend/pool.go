package backend

import (
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// Dependencies is what the connections to nodes hand on. Every field may be
// nil.
type Dependencies struct {
	// Votes returns who answers the votes that come in on connections to the
	// node. It is called once for each node; the answer serves all its
	// connections, knows by that whose votes they are, and rejects one that
	// names another node.
	Votes func(Node) gitalypb.RefTransactionServer
	// VoteOptions are those of the servers of votes, such as interceptors;
	// one of them should recover from panics. They must not set credentials.
	VoteOptions []grpc.ServerOption
	// DialOptions are added to those of every multiplexed connection, such
	// as interceptors; ReadOptions to those of every plain one. They must
	// not set credentials or dialers.
	DialOptions, ReadOptions []grpc.DialOption
	// NodeOptions returns what is added to both for one node.
	NodeOptions func(Node) []grpc.DialOption
	// Sidechannels is where the relays of sidechannels wait for nodes.
	Sidechannels *sidechannel.Registry
	// OnBroken is told when an established connection to the node breaks: the node
	// has crashed, was cut off, or has closed the connection with calls in
	// flight. It is called once for each connection, and must return at once.
	OnBroken func(Node)
}

// Pool holds the connections to all configured nodes. All methods are safe
// for concurrent use.
type Pool struct {
	nodes    []Node
	backends map[name]*backend // never changed after Dial
}

// Dial prepares the connections to every node, and connects to none: each is
// made with its first call, and remade when it ends. So nodes that are down
// are no error; addresses that nobody understands are, and [ErrDuplicateNode].
// The caller closes the pool.
func Dial(nodes []Node, deps Dependencies, log *zap.Logger, cfg Config) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("validate configuration: %w", err)
	}
	log = log.Named("backend")
	p := &Pool{nodes: slices.Clone(nodes), backends: make(map[name]*backend, len(nodes))}
	for _, node := range nodes {
		if err := p.add(node, deps, log, cfg); err != nil {
			return nil, errors.Join(fmt.Errorf("dial %s: %w", node, err), p.Close())
		}
	}
	return p, nil
}

func (p *Pool) add(node Node, deps Dependencies, log *zap.Logger, cfg Config) error {
	if _, taken := p.backends[node.name()]; taken {
		return ErrDuplicateNode
	}
	b, err := dial(node, deps, log, cfg)
	if err != nil {
		return err
	}
	p.backends[node.name()] = b
	return nil
}

// Conn returns the multiplexed connection to a node; false when there is no such node.
// Calls on it fail at once with Unavailable while the node cannot be reached.
// They are never retried. Nothing is set for their codec.
func (p *Pool) Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool) {
	b, ok := p.backends[name{virtualStorage, storage}]
	if !ok {
		return nil, false
	}
	return b.conn, true
}

// ReadConn returns a connection to a node for calls on which it sends nothing
// but their answers: it neither votes nor opens a sidechannel. That is the
// plain connection, or the multiplexed one while the plain one is not there.
// It should be asked for each call. Otherwise it is as [Pool.Conn].
func (p *Pool) ReadConn(virtualStorage, storage string) (grpc.ClientConnInterface, bool) {
	b, ok := p.backends[name{virtualStorage, storage}]
	if !ok {
		return nil, false
	}
	return b.reading(), true
}

// Connections counts the multiplexed connections to a node on which it has answered. When it grows,
// the node may have become another version of itself. It is 0 when there is no such node.
func (p *Pool) Connections(virtualStorage, storage string) uint64 {
	b, ok := p.backends[name{virtualStorage, storage}]
	if !ok {
		return 0
	}
	return b.made.Load()
}

// Nodes returns the nodes in the order in which they were given to [Dial].
func (p *Pool) Nodes() []Node { return slices.Clone(p.nodes) }

// Close ends all connections at once: calls in flight fail with Canceled. It
// waits for the handlers of votes, whose contexts end.
func (p *Pool) Close() error {
	var closing errgroup.Group
	for _, b := range p.backends {
		closing.Go(b.close)
	}
	return closing.Wait() //nolint:wrapcheck // wrapped where it happened
}
