package method

// Operation is what a method does to what it is called for.
type Operation uint8

const (
	// OperationNone is that of services which the proxy answers itself.
	OperationNone Operation = iota
	// Accessor reads.
	Accessor
	// Mutator writes.
	Mutator
	// Maintenance reorganises without changing what a reader can see.
	Maintenance
)

// String returns the word of the table.
func (o Operation) String() string { return word(operations(), o) }

// Scope is what the first message of a call names.
type Scope uint8

const (
	// ScopeNone is that of services which the proxy answers itself.
	ScopeNone Scope = iota
	// ScopeRepository is a repository.
	ScopeRepository
	// ScopeStorage is a whole storage.
	ScopeStorage
	// ScopePartition is a partition of a storage.
	ScopePartition
)

// String returns the word of the table.
func (s Scope) String() string { return word(scopes(), s) }

// Turn says when a write waits for its turn to commit. The package documentation explains how
// each method came to its value.
type Turn uint8

const (
	// TurnNone never waits.
	TurnNone Turn = iota
	// TurnGate waits with the first vote that precedes a lock.
	TurnGate
	// TurnBeforeDispatch waits before any node sees the call.
	TurnBeforeDispatch
	// TurnAtPrepared waits, shortly, with the PREPARED vote while locks are held.
	TurnAtPrepared
)

// String returns the word of the table.
func (t Turn) String() string { return word(turns(), t) }

// Kind is what a write changes. It decides how replicas are compared when the outcome of a
// write is in doubt.
type Kind uint8

const (
	// KindNone changes nothing.
	KindNone Kind = iota
	// KindReferences changes references, HEAD among them.
	KindReferences
	// KindHooks changes the custom hooks.
	KindHooks
	// KindConfig changes the configuration.
	KindConfig
	// KindLink changes the link to an object pool.
	KindLink
	// KindObjects adds objects only, or changes more than one of the others: no digest tells
	// replicas apart.
	KindObjects
	// KindCreation makes the repository.
	KindCreation
	// KindRemoval removes the repository.
	KindRemoval
)

// String returns the word of the table.
func (k Kind) String() string { return word(kinds(), k) }

func operations() []string { return []string{"-", "accessor", "mutator", "maintenance"} }

func scopes() []string { return []string{"-", "repository", "storage", "partition"} }

func turns() []string { return []string{"none", "gate", "before_dispatch", "at_prepared"} }

func kinds() []string {
	return []string{
		"-", "references", "hooks", "config", "link", "objects", "creation", "removal",
	}
}

// word returns the word of a value, in the order of the constants.
func word[T ~uint8](words []string, value T) string {
	if int(value) >= len(words) {
		return "unknown"
	}
	return words[value]
}
