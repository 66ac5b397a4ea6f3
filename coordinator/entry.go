package coordinator

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Journal keeps what became of writes, for operators. Note must not wait for anything, and be safe
// for concurrent use; nothing depends on what is noted.
type Journal interface {
	Note(entry Entry)
}

// silence is the journal of whoever was given none.
type silence struct{}

// Note implements [Journal].
func (silence) Note(Entry) {}

// JournalOr returns the journal, or one that keeps nothing if it is nil.
func JournalOr(journal Journal) Journal {
	if journal == nil {
		return silence{}
	}
	return journal
}

// Event says what an entry of the journal tells about.
type Event string

// Kinds of entries.
const (
	// EventWrite is the end of a write.
	EventWrite Event = "write"
	// EventConfirmation is a replica that confirmed a write after its record.
	EventConfirmation Event = "confirmation"
	// EventElection is a new primary because the one before was lost.
	EventElection Event = "election"
	// EventRecovery is the decision about a write that was left behind.
	EventRecovery Event = "recovery"
	// EventComparison is a comparison of replicas that found a difference.
	EventComparison Event = "comparison"
	// EventRepair is a replica that was repaired.
	EventRepair Event = "repair"
	// EventLoss is a replica that was not on its disk.
	EventLoss Event = "loss"
	// EventOperator is something that an operator has decided.
	EventOperator Event = "operator"
	// EventSurplus is a replica that was removed because it is not assigned.
	EventSurplus Event = "surplus"
)

// Became says what an event made of a replica.
type Became string

// What becomes of replicas.
const (
	BecameCurrent   Became = "current"
	BecameOutdated  Became = "outdated"
	BecameUnchanged Became = "unchanged"
	// BecameDoubtful replicas are compared before anybody relies on them.
	BecameDoubtful Became = "in doubt"
	BecameRemoved  Became = "removed"
)

// Entry is one entry of the journal.
type Entry struct {
	At         time.Time
	Event      Event
	Repository RepositoryID
	Key        Key
	// Notable entries are kept longer: some replica fell behind, or the outcome is not simply that
	// the write is there or not.
	Notable bool
	Details EntryDetails
}

// EntryDetails is the part of an entry that nobody searches for. Unknown numbers and texts are left
// out.
type EntryDetails struct {
	Kind        string `json:"kind,omitempty"`
	Method      string `json:"method,omitempty"`
	Correlation string `json:"correlation_id,omitempty"`
	// Transaction is the vote's.
	Transaction uint64 `json:"transaction_id,omitempty"`
	// Outcome is that of [Outcome.String].
	Outcome string `json:"outcome,omitempty"`
	// Writes is how many writes of one call were recorded.
	Writes     uint64     `json:"writes,omitempty"`
	Generation Generation `json:"generation,omitempty"`
	// Primary leads afterwards; Before did, if that was another.
	Primary Storage `json:"primary,omitempty"`
	Before  Storage `json:"primary_before,omitempty"`
	// Cause says why it came to this, if it did not just go well.
	Cause    string         `json:"cause,omitempty"`
	Replicas []EntryReplica `json:"replicas"`
}

// EntryReplica is one replica's part.
type EntryReplica struct {
	Storage Storage `json:"storage"`
	// Role is primary, secondary, learner, or left out.
	Role string `json:"role,omitempty"`
	// Votes counts the votes of its node, Evidence is what they say; see package transaction.
	Votes    uint64 `json:"votes,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	Became   Became `json:"became"`
	// Reason says why it is not current, in words for people.
	Reason string `json:"reason,omitempty"`
}

// entryTextMax bounds the texts of an entry, which nodes and clients may have written.
const entryTextMax = 400

// Clip makes a text fit for any store: bounded, and nothing in it that a database refuses.
func Clip(text string) string {
	if len(text) > entryTextMax {
		cut := entryTextMax
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "..."
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
}

// Clipped returns the entry with its texts bounded and fit for any store.
func (e Entry) Clipped() Entry {
	d := &e.Details
	for _, text := range []*string{
		&d.Kind, &d.Method, &d.Correlation, &d.Outcome, &d.Cause,
	} {
		*text = Clip(*text)
	}
	replicas := make([]EntryReplica, len(d.Replicas))
	for i, replica := range d.Replicas {
		replica.Reason = Clip(replica.Reason)
		replicas[i] = replica
	}
	d.Replicas = replicas
	return e
}
