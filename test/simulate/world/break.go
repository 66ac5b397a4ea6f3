package world

import (
	"time"

	"praefect/coordinator"
)

// arrange sets off the faults that have a time, and keeps the others for their step.
func (w *world) arrange() {
	for _, f := range w.script.Faults {
		if f.Step != "" {
			w.mu.Lock() // Proxies pass steps already.
			w.pending = append(w.pending, f)
			w.mu.Unlock()
			continue
		}
		if f.Kind == StoreLost {
			w.loseTail(f)
			continue
		}
		w.after(f.At, func() { w.strike(f) })
	}
}

// after does something later, unless everything is healed by then.
func (w *world) after(d time.Duration, do func()) {
	w.work.Go(func() {
		if pause(w.stopped, d) == nil {
			do()
		}
	})
}

// step is passed at each boundary of an effect of a proxy.
func (w *world) step(by *process, name string) {
	w.mu.Lock()
	w.passed[by.name+" "+name]++
	count := w.passed[by.name+" "+name]
	var due []Fault
	for i, f := range w.pending {
		if f.Step == name && f.Nth <= count && proxyName(f.Proxy) == by.name && !w.healed {
			due = append(due, f)
			w.pending = append(w.pending[:i:i], w.pending[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	for _, f := range due {
		w.strike(f)
	}
}

// strike lets a fault happen, and heals it after its time.
func (w *world) strike(f Fault) {
	w.mu.Lock()
	healed := w.healed
	if !healed {
		w.result.Faults++
	}
	w.mu.Unlock()
	if healed {
		return
	}
	w.note("fault", f.String(), nil)
	heal := w.apply(f)
	w.work.Go(func() {
		// The end of the calls heals as well.
		_ = pause(w.stopped, f.For)
		heal()
		w.note("healed", string(f.Kind), nil)
	})
}

// apply breaks something and returns how it is healed.
func (w *world) apply(f Fault) func() {
	switch f.Kind {
	case ProxyCrash, ProxyPause:
		return w.hitProxy(f)
	case NodeCrash, NodePause, SlowDisk:
		return w.hitNode(f, w.nodes[f.Node])
	case Partition, Lossy, SlowNetwork:
		return w.hitLink(f)
	case StoreAway, StoreCut, StoreSlow, StoreLossy, StoreLost:
	}
	return w.hitStore(f)
}

func (w *world) hitProxy(f Fault) func() {
	w.mu.Lock()
	p := w.proxies[f.Proxy]
	w.mu.Unlock()
	if p == nil || p.process.dead() {
		return func() {}
	}
	if f.Kind == ProxyPause {
		p.process.freeze()
		return p.process.thaw
	}
	p.process.kill()
	return func() { w.startProxy(f.Proxy) }
}

func (w *world) hitNode(f Fault, n *node) func() {
	process := n.current()
	switch {
	case f.Kind == SlowDisk:
		return switched(&n.mu, &n.slow)
	case f.Kind == NodePause:
		process.freeze()
		w.refresh(n)
		return func() {
			process.thaw()
			w.refresh(n)
		}
	case process.dead():
		return func() {}
	}
	process.kill()
	w.refresh(n)
	return func() {
		n.restart()
		w.refresh(n)
	}
}

// locker is a mutex.
type locker interface {
	Lock()
	Unlock()
}

// switched counts a fault, and returns how it is taken back.
func switched(mu locker, counter *int) func() {
	add := func(change int) {
		mu.Lock()
		defer mu.Unlock()
		*counter += change
	}
	add(1)
	return func() { add(-1) }
}

// refresh lets the proxies find out about a node.
func (w *world) refresh(n *node) {
	for _, links := range w.links {
		links[coordinator.Storage(n.name)].refresh()
	}
}

func (w *world) hitLink(f Fault) func() {
	l := w.links[f.Proxy][coordinator.Storage(w.nodes[f.Node].name)]
	counter := &l.cut
	for kind, counted := range map[FaultKind]*int{Lossy: &l.lossy, SlowNetwork: &l.slow} {
		if f.Kind == kind {
			counter = counted
		}
	}
	heal := switched(&l.mu, counter)
	l.refresh()
	return func() {
		heal()
		l.refresh()
	}
}

func (w *world) hitStore(f Fault) func() {
	d := w.database
	counter := &d.away
	if f.Kind == StoreCut {
		return d.cut(proxyName(f.Proxy))
	}
	for kind, counted := range map[FaultKind]*int{StoreSlow: &d.slow, StoreLossy: &d.lossy} {
		if f.Kind == kind {
			counter = counted
		}
	}
	return switched(&d.mu, counter)
}

// tailMax is how much of the latest a server may lack that takes over.
const tailMax = 500 * time.Millisecond

// loseTail has another server take over that lacks the latest statements.
func (w *world) loseTail(f Fault) {
	lag := w.chance.between(0, tailMax, "lag")
	w.after(max(0, f.At-lag), func() {
		standby := w.database.store.Copy()
		if pause(w.stopped, min(lag, f.At)) != nil {
			return
		}
		f.For = min(f.For, leaseFor)
		w.strike(f)
		w.database.store.TakeOver(standby)
	})
}
