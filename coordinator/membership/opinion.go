package membership

import "praefect/coordinator"

// opinion is what the other proxies found when the lease was last renewed. It is not changed.
type opinion struct {
	// others is how many of them reported, healthy how many of those found a storage healthy.
	others  int
	healthy map[coordinator.VirtualStorage]map[coordinator.Storage]int
}

// newOpinion leaves out the own report and those of proxies that have found nothing out yet.
func newOpinion(own coordinator.Incarnation, reports []coordinator.Report) *opinion {
	o := &opinion{healthy: map[coordinator.VirtualStorage]map[coordinator.Storage]int{}}
	for _, report := range reports {
		if report.Incarnation == own || report.Healthy == nil {
			continue
		}
		o.others++
		for virtualStorage, storages := range report.Healthy {
			o.add(virtualStorage, storages)
		}
	}
	return o
}

func (o *opinion) add(name coordinator.VirtualStorage, storages []coordinator.Storage) {
	counts := o.healthy[name]
	if counts == nil {
		counts = map[coordinator.Storage]int{}
		o.healthy[name] = counts
	}
	for _, storage := range storages {
		counts[storage]++
	}
}

// Healthy says whether at least half of the proxies that live find the storage healthy, this one as
// of now, the others as of their last reports. Without a lease nothing is known of the others, and
// this process is alone.
func (w *Worker) Healthy(
	virtualStorage coordinator.VirtualStorage, storage coordinator.Storage,
) bool {
	local := w.Health.Healthy(virtualStorage, storage)
	if _, holds := w.Incarnation(); !holds {
		return local
	}
	// It was there before the lease held.
	others := w.opinion.Load()
	healthy := others.healthy[virtualStorage][storage]
	if local {
		healthy++
	}
	return 2*healthy >= others.others+1
}

// findings lists the storages that this process finds healthy, to be reported.
func (w *Worker) findings() map[coordinator.VirtualStorage][]coordinator.Storage {
	healthy := map[coordinator.VirtualStorage][]coordinator.Storage{}
	for name, config := range w.Cluster.VirtualStorages {
		for _, storage := range config.Storages {
			if w.Health.Healthy(name, storage) {
				healthy[name] = append(healthy[name], storage)
			}
		}
	}
	return healthy
}
