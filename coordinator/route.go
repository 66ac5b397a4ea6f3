package coordinator

// route is what the cache keeps of a repository. It is small, since there are millions.
type route struct {
	// paths is the client's path followed by the path on disk: one allocation instead of two.
	paths string
	id    RepositoryID
	epoch Epoch
	// split is where the path on disk begins.
	split uint32
	// primary is a place, or nowhere.
	primary int8
	// copies is how many assigned replicas count for the minimum of copies.
	copies uint8
	// current replicas hold every acknowledged write, present ones something, assigned ones
	// should; joining ones take part in writes though they are not current yet.
	current, present, assigned, joining set
}

func (r *route) relativePath() string { return r.paths[:r.split] }
func (r *route) replicaPath() string  { return r.paths[r.split:] }

// primarySet is the primary as a set, empty when there is none.
func (r *route) primarySet() set {
	if r.primary < 0 {
		return 0
	}
	return set(0).with(int(r.primary))
}

// newRoute leaves out what the group does not know.
func (g *group) newRoute(repository Repository) route {
	r := route{
		paths:   repository.Key.RelativePath + repository.ReplicaPath,
		id:      repository.ID,
		epoch:   repository.Epoch,
		split:   uint32(len(repository.Key.RelativePath)),
		primary: int8(g.place(repository.Primary)),
	}
	for _, replica := range repository.Replicas {
		place := g.place(replica.Storage)
		if place == nowhere {
			continue
		}
		if replica.Generation == repository.Generation {
			r.current = r.current.with(place)
		}
		if replica.Generation > Absent {
			r.present = r.present.with(place)
		}
		if replica.Assigned {
			r.assigned = r.assigned.with(place)
		}
		if replica.Assigned && !replica.Filling {
			r.copies++
		}
		if replica.Joining {
			r.joining = r.joining.with(place)
		}
	}
	return r
}
