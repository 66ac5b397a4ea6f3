package proxy

import (
	"context"

	"praefect/coordinator"
	"praefect/proxy/method"
	"praefect/proxy/wire"
	"praefect/transaction"
)

// begin routes a write, or takes the path for a creation.
func (h *Handler) begin(ctx context.Context, c *call) (*coordinator.Write, error) {
	beside, err := c.beside()
	if err != nil {
		return nil, err
	}
	if !c.method.Creates() {
		options := (*behaviour)(c.method).options()
		options.Additional, options.Caller = beside, c.caller()
		if c.commands != nil {
			options.DeletesBeside = c.commands.mayDeleteBeside
		}
		return h.Coordinator.BeginWrite(ctx, c.key, options)
	}
	options := coordinator.CreationOptions{Additional: beside, Caller: c.caller()}
	if c.method.Update != nil {
		update := (*behaviour)(c.method.Update).options()
		update.Caller = options.Caller
		options.Upsert = &update
	}
	return h.Coordinator.BeginCreation(ctx, c.key, options)
}

// caller says for the journal which call this is.
func (c *call) caller() coordinator.Caller {
	return coordinator.Caller{Method: c.visit.method, Correlation: c.visit.correlation}
}

// beside returns the repository that the write has to be near: the second one of the message, or
// else the one of the client's hint, or else the one that a fork is made of.
func (c *call) beside() (*coordinator.Key, error) {
	if c.additional != nil {
		return c.additional, nil
	}
	hint, err := c.hint()
	if err != nil {
		return nil, err
	}
	if hint != "" {
		return &coordinator.Key{VirtualStorage: c.key.VirtualStorage, RelativePath: hint}, nil
	}
	if len(c.method.Hint) == 0 {
		return nil, nil //nolint:nilnil // there need not be any
	}
	source, present, err := wire.Locate(c.message, c.method.Hint)
	if err != nil {
		return nil, inField(c.method, c.method.Hint, err)
	}
	key := keyOf(source)
	if !present || key.VirtualStorage != c.key.VirtualStorage || key.RelativePath == "" {
		// A source elsewhere is none of ours, whatever its path.
		return nil, nil //nolint:nilnil // there need not be any
	}
	return &key, nil
}

// behaviour is a method as the order of writes sees it.
type behaviour method.Method

// effective returns what the method does, given whether the repository is there already.
func (c *call) effective(plan coordinator.Plan) *behaviour {
	if c.method.Update != nil && !plan.Creation {
		return (*behaviour)(c.method.Update)
	}
	return (*behaviour)(c.method)
}

func (b *behaviour) options() coordinator.WriteOptions {
	return coordinator.WriteOptions{
		Kind:        coordinator.WriteKind(b.Kind.String()),
		Turn:        b.gate(),
		NeverWrites: b.NeverWrites,
		Several:     b.Several,
		Verify:      b.Verify,
	}
}

// gate says where the nodes wait for the turn.
func (b *behaviour) gate() transaction.Gate {
	switch b.Turn {
	case method.TurnGate:
		return transaction.GateVotes
	case method.TurnAtPrepared:
		return transaction.GatePrepared
	case method.TurnBeforeDispatch:
		return transaction.GateHeld
	case method.TurnNone:
		return transaction.GateNone
	}
	return transaction.GateVotes
}

func voters(storages []coordinator.Storage) []transaction.Voter {
	all := make([]transaction.Voter, len(storages))
	for i, storage := range storages {
		all[i] = transaction.Voter(storage)
	}
	return all
}
