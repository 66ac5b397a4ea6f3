package relay

import (
	"errors"
	"io"
	"time"
)

// upload carries the client's messages after the first to all nodes, and then lets them see the
// end of their input. It ends when the client has sent all, when the primary takes no more, or
// when the client cannot be received from any more; at the latest when the handler returns.
func (f *Fan) upload() {
	if f.sendRest() && !f.call.Complete {
		f.receive()
	}
	for _, b := range f.branches[1:] {
		b.queue.close()
	}
	if node := f.primaryNode(); node != nil {
		// An error here says what receiving says as well: the call is over.
		_ = node.CloseSend()
	}
}

// sendRest sends what was received before the call was opened. A whole request goes to the others
// also when the primary takes no more: half of it would look like another one to them.
func (f *Fan) sendRest() bool {
	pacer := newPacer(f)
	more := true
	for i := range f.call.Rest {
		if more || f.call.Complete {
			more = pacer.spread(&f.call.Rest[i])
		}
		f.call.Rest[i].Free()
	}
	return more
}

// receive carries messages from the client. Before the nodes can see the end of an input that is
// not the end of the client's, the votes are aborted.
func (f *Fan) receive() {
	var frame Frame
	defer frame.Free()
	pacer := newPacer(f)
	for more := true; more; frame.Free() {
		err := f.client.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			if !f.primary().isOver() {
				f.abort()
			}
			f.failed <- err
			return
		}
		f.relay.metrics.fromClient.Add(float64(frame.Len()))
		more = pacer.spread(&frame)
	}
}

// pacer spreads messages over the nodes at the primary's speed. It lets the client wait for
// others for a while, and ejects them when that is over.
type pacer struct {
	fan *Fan
	// bytes counts what was spread.
	bytes int
	// waited is how long each of the others has made the client wait.
	waited []time.Duration
}

func newPacer(f *Fan) *pacer {
	return &pacer{fan: f, waited: make([]time.Duration, len(f.branches))}
}

// spread sends a message, which stays the caller's, and tells whether the primary takes more.
func (p *pacer) spread(frame *Frame) bool {
	p.bytes += frame.Len()
	for _, b := range p.fan.branches[1:] {
		b.queue.put(frame.Share())
	}
	node := p.fan.primaryNode()
	if node == nil || node.SendMsg(frame) != nil {
		return false
	}
	for i, b := range p.fan.branches {
		if b.queue != nil && b.queue.full() {
			p.wait(i)
		}
	}
	return true
}

// wait waits until a queue has room or its destination is ejected.
func (p *pacer) wait(index int) {
	b := p.fan.branches[index]
	begin := time.Now()
	patience := time.NewTimer(p.allowance(index))
	defer patience.Stop()
	for b.queue.full() {
		select {
		case <-b.queue.room:
		case <-patience.C:
			p.fan.eject(b, reasonSlow)
		case <-b.over:
			b.queue.discard()
		case <-p.fan.primary().over:
			return
		case <-p.fan.client.Context().Done():
			return
		}
	}
	p.waited[index] += time.Since(begin)
}

// allowance is how long a destination may make the client wait this time. In all it is what it
// takes to carry the upload at the configured pace, and the patience.
func (p *pacer) allowance(index int) time.Duration {
	config := p.fan.relay.config
	carrying := time.Duration(float64(p.bytes) / float64(config.Pace) * float64(time.Second))
	return min(config.Patience, config.Patience+carrying-p.waited[index])
}
