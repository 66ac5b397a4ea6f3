package hooks

import (
	"context"
	"crypto/rand"
	"sync"
)

// Voter casts the votes of a node in one transaction.
type Voter interface {
	// Vote returns nil when the change may go on. Errors: [ErrAborted], [ErrStopped],
	// [ErrUnknownState], or that the coordinator could not be asked.
	Vote(ctx context.Context, phase Phase, hash Hash) error
	// Stop tells the coordinator that this node, the primary, refuses the change.
	Stop(ctx context.Context) error
}

// Operation is what the hooks of one Git process act for.
type Operation struct {
	// Voter is nil when nothing is voted on; calls for votes then succeed.
	Voter Voter
	// Done is closed when nobody waits for the operation's result any more. Votes in flight are
	// cancelled then, and custom hooks are ended.
	Done <-chan struct{}
}

// register knows the operations that run, by the token in their payload.
type register struct {
	mu         sync.Mutex // guards the field below
	operations map[string]Operation
}

func newRegister() *register { return &register{operations: make(map[string]Operation)} }

func (r *register) add(operation Operation) (token string, remove func()) {
	token = rand.Text()

	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations[token] = operation

	return token, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.operations, token)
	}
}

func (r *register) find(token string) (Operation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	operation, ok := r.operations[token]
	if !ok {
		return Operation{}, ErrUnknownOperation
	}

	return operation, nil
}
