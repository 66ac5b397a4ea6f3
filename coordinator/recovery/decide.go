package recovery

import (
	"cmp"
	"slices"

	"praefect/coordinator"
)

// standing is what is known of one current replica.
type standing struct {
	storage coordinator.Storage
	// assigned and healthy matter for who becomes primary.
	assigned, healthy bool
	// participant says that the write in doubt may have been committed there.
	participant bool
	// digest is empty if the replica could not be asked, or its answer does not count.
	digest string
}

// present says that the replica was asked and holds a repository.
func (s standing) present() bool { return s.digest != "" && s.digest != Absent }

// question is what a decision is made of: every current replica, sorted by storage. Each of them
// holds all acknowledged writes as far as the metadata know, so any of them may be kept; see the
// package documentation.
type question struct {
	primary  coordinator.Storage
	replicas []standing
	// comparable says that equal digests mean equal replicas.
	comparable bool
	// lastResort allows to go by replicas that were left out of the write.
	lastResort bool
}

// verdict says who stays current, and leads.
type verdict struct {
	keep    []coordinator.Storage
	primary coordinator.Storage
	// reason is for the log.
	reason string
}

// decide answers what becomes of a write that nobody can be asked about but the nodes. It returns
// false if nothing can be decided yet.
func decide(q question) (verdict, bool) {
	candidates := q.choose(func(s standing) bool { return s.participant && s.present() })
	reason := "largest group of participants"
	if len(candidates) == 0 && q.lastResort {
		candidates = q.choose(standing.present)
		reason = "no participant answers: largest group of those left out of the write"
	}
	if len(candidates) == 0 {
		return verdict{}, false
	}
	best := slices.MinFunc(candidates, q.prefer)
	if leads := q.find(q.primary); slices.Contains(candidates, leads) {
		best, reason = leads, "state of the primary"
	}
	if !q.comparable {
		return q.verdict([]coordinator.Storage{best.storage},
			reason+": nothing can be compared for this kind of write"), true
	}
	return q.verdict(q.storages(func(s standing) bool { return s.digest == best.digest }),
		reason), true
}

// prefer orders replicas by the group that they belong to: most participants, then most current
// replicas, so that few have to be repaired, then most assigned ones; among equals the one that can
// lead best, and the names in the end, so that the same evidence leads to the same decision.
func (q question) prefer(a, b standing) int {
	size := func(of standing, counts func(standing) bool) int {
		if !q.comparable {
			return 0
		}
		return len(q.choose(func(s standing) bool { return s.digest == of.digest && counts(s) }))
	}
	for _, counts := range []func(standing) bool{
		func(s standing) bool { return s.participant },
		func(standing) bool { return true },
		func(s standing) bool { return s.assigned },
	} {
		if order := cmp.Compare(size(b, counts), size(a, counts)); order != 0 {
			return order
		}
	}
	return lead(a, b)
}

// lead orders replicas by how well they lead: healthy ones first, then assigned ones.
func lead(a, b standing) int {
	return cmp.Or(flag(b.healthy)-flag(a.healthy), flag(b.assigned)-flag(a.assigned),
		cmp.Compare(a.storage, b.storage))
}

func flag(set bool) int {
	if set {
		return 1
	}
	return 0
}

// judgement is what a comparison says that no write is in doubt for.
type judgement struct {
	verdict

	result judged
}

// judged is the result of a comparison.
type judged int

const (
	// judgedEqual: all current replicas were asked and hold the same.
	judgedEqual judged = iota + 1
	// judgedDifferent: the verdict names those that are right.
	judgedDifferent
	// judgedOpen: those that were asked hold the same, some could not be asked.
	judgedOpen
	// judgedSplit: replicas differ, and no majority of all current ones is known.
	judgedSplit
	// judgedLost: nobody who could be asked holds the repository at all.
	judgedLost
)

// judge compares replicas of which none is in doubt more than the others. The majority is right, if
// it is one of all current replicas whatever those would say that cannot be asked; they are not
// judged, and stay. Replicas that are gone are never right as long as one is there.
func judge(q question) judgement {
	asked := q.choose(func(s standing) bool { return s.digest != "" })
	present := q.choose(standing.present)
	gone, unasked := len(asked)-len(present), len(q.replicas)-len(asked)
	switch {
	case len(asked) == 0:
		return judgement{result: judgedOpen}
	case len(present) == 0:
		return judgement{result: judgedLost}
	}

	best := slices.MinFunc(present, q.prefer)
	same := func(s standing) bool { return s.digest == best.digest }
	size, reason := len(q.choose(same)), "majority of the current replicas"
	switch {
	case size < len(present) && 2*size <= len(present)+unasked:
		return judgement{result: judgedSplit}
	case size < len(present):
	case gone > 0:
		reason = "the others are gone"
	case unasked > 0:
		return judgement{result: judgedOpen}
	default:
		return judgement{result: judgedEqual}
	}
	keep := q.storages(func(s standing) bool { return same(s) || s.digest == "" })
	return judgement{result: judgedDifferent, verdict: q.verdict(keep, reason)}
}

// verdict completes a decision by the primary: the old one if it is kept, otherwise the one of the
// kept that leads best. Of those only an asked one is known to be there.
func (q question) verdict(keep []coordinator.Storage, reason string) verdict {
	v := verdict{keep: keep, primary: q.primary, reason: reason}
	if !slices.Contains(keep, q.primary) {
		v.primary = slices.MinFunc(q.choose(func(s standing) bool {
			return s.present() && slices.Contains(keep, s.storage)
		}), lead).storage
	}
	return v
}

func (q question) choose(which func(standing) bool) []standing {
	var selected []standing
	for _, replica := range q.replicas {
		if which(replica) {
			selected = append(selected, replica)
		}
	}
	return selected
}

func (q question) storages(which func(standing) bool) []coordinator.Storage {
	var storages []coordinator.Storage
	for _, replica := range q.choose(which) {
		storages = append(storages, replica.storage)
	}
	return storages
}

func (q question) find(storage coordinator.Storage) standing {
	for _, replica := range q.replicas {
		if replica.storage == storage {
			return replica
		}
	}
	return standing{}
}

// everybody keeps all current replicas, as when all of them are found to hold the same.
func (q question) everybody(reason string) verdict {
	return verdict{
		keep: q.storages(func(standing) bool { return true }), primary: q.primary, reason: reason,
	}
}
