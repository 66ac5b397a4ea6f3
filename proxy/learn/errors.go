package learn

import "errors"

var (
	// ErrUnknown says that no node knows the method, or none in a way that can be carried.
	ErrUnknown = errors.New("unknown method")
	// ErrUnreachable says that no node could be asked about the method.
	ErrUnreachable = errors.New("no node can be asked about the method")
	// ErrInvalidConfig says that a bound has a value that cannot work.
	ErrInvalidConfig = errors.New("invalid configuration of learning")

	errClosed = errors.New("learner closed")
	// The following say why a method cannot be carried, or an answer not be used.
	errUnclassified = errors.New("no operation is declared")
	errNoField      = errors.New("no field is marked")
	errManyFields   = errors.New("more than one field is marked")
	errListed       = errors.New("a marked field is in a list")
	errType         = errors.New("a marked field has an unexpected type")
	errAdditional   = errors.New("only a mutator may name a second repository")
	errTooLarge     = errors.New("description is too large")
	errAnswer       = errors.New("unexpected answer")
)
