package coordinator

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"
)

// sweep ends what the store believes to be held here and nobody holds: statements that were given
// up may be carried out long after it was seen to that they have no effect.
func (c *Coordinator) sweep(ctx context.Context) {
	incarnation, leased := c.lease.Incarnation()
	if !leased {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	found, err := c.store.Holdings(bounded, incarnation)
	if err != nil {
		return // The lease says so if the store is away.
	}
	var unknown []Holding
	for _, holding := range found {
		turn := holding.Kind == HoldingTurn
		switch {
		// In this order: whoever passes a turn on has noted before what is left of it.
		case turn && c.lines.holds(holding.Repository, holding.Write):
		case c.leftovers.has(holding.key()):
		case turn:
			c.closeStray(bounded, holding)
		default:
			unknown = append(unknown, holding)
		}
	}
	for _, stray := range c.calls.strays(unknown) {
		c.log.Warn("call that nobody makes is ended", zap.String("holding", string(stray.Kind)),
			zap.Int64("repository_id", int64(stray.Repository)))
		c.leftovers.add(c.undoing(stray))
	}
}

// closeStray closes a turn. If it has ended since, that changes nothing.
func (c *Coordinator) closeStray(ctx context.Context, stray Holding) {
	if _, err := c.store.CloseTurn(ctx, stray.Repository, stray.Write); err == nil {
		c.log.Warn("turn that nobody holds is closed",
			zap.Int64("repository_id", int64(stray.Repository)))
	}
}

func (h Holding) key() leftoverKey { return leftoverKey{h.Repository, h.Write} }

// undoing is what to tell the store of a call that nobody makes. Nobody knows what it did.
func (c *Coordinator) undoing(stray Holding) leftover {
	if stray.Kind == HoldingCreation {
		return leftover{
			repository: stray.Repository, undo: true, keep: c.config.NodeDeadline,
		}
	}
	return leftover{
		repository: stray.Repository, write: stray.Write,
		withdrawal: &Withdrawal{
			Write: stray.Write, Repository: stray.Repository, Compare: true, Doubtful: true,
		},
	}
}

// beginCall tells the store of a call. If nobody knows whether it has heard, undo is left over, as
// what it was told of may be there all the same.
func (c *Coordinator) beginCall(undo leftover, tell func() error) error {
	c.calls.begin(undo.key())
	err := tell()
	if errors.Is(err, ErrMetadataUnavailable) {
		c.leftovers.add(undo)
	}
	if err != nil {
		c.calls.end(undo.key())
	}
	return err
}

// calls are those under way that are announced or create a repository.
type calls struct {
	mu   sync.Mutex // guards the fields below
	open map[leftoverKey]bool
	// strange are those that the store had at the last sweep and that were not open.
	strange map[leftoverKey]bool
}

func newCalls() *calls { return &calls{open: map[leftoverKey]bool{}} }

// begin comes before anything of the call is in the store.
func (c *calls) begin(key leftoverKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[key] = true
}

// end comes when the store was told of the end, or that is left over.
func (c *calls) end(key leftoverKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, key)
}

// strays returns what no call stands for. The store may have told of a call that has ended since,
// so it is what was strange at the last sweep and is still there.
func (c *calls) strays(found []Holding) []Holding {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.strange
	c.strange = map[leftoverKey]bool{}
	var strays []Holding
	for _, holding := range found {
		switch key := holding.key(); {
		case c.open[key]:
		case before[key]:
			strays = append(strays, holding)
		default:
			c.strange[key] = true
		}
	}
	return strays
}
