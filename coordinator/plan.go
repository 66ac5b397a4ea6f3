package coordinator

// Plan says where a write goes. It does not change once the write has begun.
type Plan struct {
	Repository RepositoryID
	Key        Key
	// ReplicaPath is the path on every node. AdditionalReplicaPath is that of the second
	// repository, empty if the write names none.
	ReplicaPath           string
	AdditionalReplicaPath string
	Primary               Storage
	// Secondaries take part beside the primary. A replica whose repair is about to end may be
	// among them; it lapses when the turn is taken unless it is current by then.
	Secondaries []Storage
	// MinimumCopies is how many participants, the primary among them, must hold the write
	// before it may be acknowledged.
	MinimumCopies int
	// Creation says that the repository does not exist before.
	Creation bool
}

// participation is the decision who takes part in a write.
type participation struct {
	members set
	minimum int
}

// participants lets every assigned replica take part that is healthy and current, or about to be,
// and the primary. It refuses a write that could not reach the minimum of copies. Replicas that are
// being filled for the first time do not raise the minimum.
func (g *group) participants(r route, healthy set) (participation, error) {
	current := r.assigned & r.current & healthy
	minimum := g.config.minimumCopies(int(r.copies))
	if current.count() < minimum {
		return participation{}, &TooFewCopiesError{
			Need: minimum, Have: current.count(),
			Missing: g.absences(r.assigned.minus(current), healthy),
		}
	}
	if r.assigned&r.primarySet() == 0 {
		// An unassigned primary is no copy: as many others are needed as without it.
		minimum++
	}
	return participation{
		members: current | r.primarySet() | (r.assigned & r.joining & healthy),
		minimum: minimum,
	}, nil
}

func (g *group) absences(missing, healthy set) []Absence {
	var absences []Absence
	for ; missing != 0; missing = missing.dropLowest() {
		place := missing.lowest()
		reason := "is outdated"
		if !healthy.has(place) {
			reason = "is not healthy"
		}
		absences = append(absences, Absence{Storage: g.storage(place), Reason: reason})
	}
	return absences
}

// needsElection says whether another primary has to, or should, be found: an unassigned one gives
// way as soon as an assigned replica can take its place.
func needsElection(r route, healthy set) bool {
	eligible := r.current & r.assigned & healthy
	return !serves(r, healthy) || (r.assigned&r.primarySet() == 0 && eligible != 0)
}

// candidates are those of whom any may be the next primary: current and healthy replicas, the
// assigned ones if there are some.
func candidates(r route, healthy set) (set, error) {
	eligible := r.current & healthy
	switch {
	case healthy == 0:
		return 0, ErrNoHealthyNode
	case eligible == 0:
		return 0, ErrNoPrimary
	case eligible&r.assigned != 0:
		return eligible & r.assigned, nil
	default:
		return eligible, nil
	}
}

// placement says where a new repository goes.
type placement struct {
	primary           int
	members, assigned set
	minimum           int
}

// place chooses storages for a new repository: a random healthy primary and others up to the
// replication factor, healthy ones first; the unhealthy ones are filled by repair.
func (g *group) placeNew(healthy set) (placement, error) {
	if healthy == 0 {
		return placement{}, ErrNoHealthyNode
	}
	all := g.all()
	factor := g.config.DefaultReplicationFactor
	if factor == 0 {
		factor = all.count()
	}

	chosen := placement{primary: g.random(healthy)}
	chosen.assigned = set(0).with(chosen.primary)
	for chosen.assigned.count() < factor {
		left := all.minus(chosen.assigned)
		if left&healthy != 0 {
			left &= healthy
		}
		chosen.assigned = chosen.assigned.with(g.random(left))
	}
	chosen.members = chosen.assigned & healthy
	return g.checkPlacement(chosen, healthy)
}

// placeBeside puts a new repository on the nodes of another that it shares objects with. Replicas
// of that one which are not current cannot take part; repair fills them.
func (g *group) placeBeside(r route, healthy set) (placement, error) {
	return g.checkPlacement(placement{
		primary:  int(r.primary),
		members:  r.assigned&r.current&healthy | r.primarySet(),
		assigned: r.assigned | r.primarySet(),
	}, healthy)
}

func (g *group) checkPlacement(chosen placement, healthy set) (placement, error) {
	chosen.minimum = g.config.minimumCopies(chosen.assigned.count())
	if chosen.members.count() < chosen.minimum {
		return placement{}, &TooFewCopiesError{
			Need: chosen.minimum, Have: chosen.members.count(),
			Missing: g.absences(chosen.assigned.minus(chosen.members), healthy),
		}
	}
	return chosen, nil
}
