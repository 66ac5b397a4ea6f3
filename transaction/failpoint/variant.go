package failpoint

// Variant is a rule that a sabotaged program leaves out.
type Variant string

const (
	// RecordSkipped answers writes whose outcome was never recorded: replicas that missed one stay
	// current, as if they had it.
	RecordSkipped Variant = "record-skipped"
	// TurnSkipped lets nodes commit before the turn is taken, which happens only for the record:
	// two writes may reach the nodes in different orders, and nobody finishes what a dead proxy
	// began.
	TurnSkipped Variant = "turn-skipped"
	// InvalidationNotAwaited answers a write while other proxies still read from a replica that
	// missed it.
	InvalidationNotAwaited Variant = "invalidation-not-awaited"
	// LeaseNotChecked lets a proxy go on by its cache, and release votes, when all others believe
	// that it has ended.
	LeaseNotChecked Variant = "lease-not-checked"
	// RecoveryKeepsEverybody ends the turn of a dead proxy as if all participants held the same.
	RecoveryKeepsEverybody Variant = "recovery-keeps-everybody"
)

// Variants returns all variants.
func Variants() []Variant {
	return []Variant{
		RecordSkipped, TurnSkipped, InvalidationNotAwaited, LeaseNotChecked, RecoveryKeepsEverybody,
	}
}
