package world

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errGone says that a process has died.
var errGone = errors.New("process is gone")

// process is what can die and freeze: one life of a proxy or a node.
type process struct {
	name string
	// life is the name and a number of its own, for what is left to chance.
	life   string
	chance *chance
	// alive ends with the process.
	alive context.Context //nolint:containedctx // it stands for the life of the process
	kill  context.CancelFunc

	mu sync.Mutex // guards the field below
	// thawed is closed when the process goes on; nil unless it is frozen.
	thawed chan struct{}
}

func newProcess(chance *chance, name string) *process {
	alive, kill := context.WithCancel(context.Background())
	life := fmt.Sprintf("%s %d", name, chance.number(name, "life"))
	return &process{name: name, life: life, chance: chance, alive: alive, kill: kill}
}

func (p *process) dead() bool { return p.alive.Err() != nil }

func (p *process) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thawed == nil {
		p.thawed = make(chan struct{})
	}
}

func (p *process) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thawed != nil {
		close(p.thawed)
		p.thawed = nil
	}
}

func (p *process) frozen() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.thawed
}

// gate is passed when the process is neither frozen nor dead.
func (p *process) gate() error {
	for {
		thawed := p.frozen()
		switch {
		case p.dead():
			return errGone
		case thawed == nil:
			return nil
		}
		select {
		case <-thawed:
		case <-p.alive.Done():
		}
		// Those that wait here go on one after the other.
		_ = pause(context.Background(), p.chance.between(0, apart, p.life, "thaw"))
	}
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
