package recovery

import (
	"slices"
	"time"

	"praefect/coordinator"
)

// note tells the journal what was decided about a repository, and by what.
func (w *Worker) note(
	event coordinator.Event, kind string, found evidence, decided verdict,
	recorded coordinator.Recorded,
) {
	entry := coordinator.Entry{
		At: time.Now(), Event: event, Repository: found.repository.ID,
		Key: found.repository.Key, Notable: true,
		Details: coordinator.EntryDetails{
			Kind: kind, Generation: recorded.Generation, Primary: decided.primary,
			Cause: "decided by " + decided.reason,
		},
	}
	if decided.primary != found.repository.Primary {
		entry.Details.Before = found.repository.Primary
	}
	for _, storage := range current(found.repository) {
		entry.Details.Replicas = append(entry.Details.Replicas, found.replica(storage, decided))
	}
	w.Journal.Note(entry)
}

// replica says what became of one replica that was current before.
func (e evidence) replica(
	storage coordinator.Storage, decided verdict,
) coordinator.EntryReplica {
	replica := coordinator.EntryReplica{Storage: storage, Became: coordinator.BecameOutdated}
	if storage == e.repository.Primary {
		replica.Role = "primary"
	}
	switch digest := e.answers[storage].digest; {
	case slices.Contains(decided.keep, storage):
		replica.Became = coordinator.BecameCurrent
		if slices.Contains(e.acting, storage) {
			replica.Reason = "its node may still act on the write: it is compared again later"
		}
	case digest == "":
		replica.Reason = "its node could not be asked what it holds"
	case digest == Absent:
		replica.Reason = "its node does not have the repository"
	default:
		replica.Reason = "it holds something else than what was kept"
	}
	return replica
}
