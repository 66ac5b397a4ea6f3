package relay_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
)

// poison is what a buffer is filled with when it is given back.
const poison = 0xdb

// poisonPool never hands out a buffer twice. It overwrites what is given back, so that whoever
// still uses it sees other bytes, and counts, so that what is not given back is seen as well.
type poisonPool struct {
	mu  sync.Mutex
	out map[*[]byte]struct{}
	// max is the largest number of buffers that were out, bytes the size of all ever.
	max, bytes int
}

var _ mem.BufferPool = (*poisonPool)(nil)

func newPoisonPool() *poisonPool { return &poisonPool{out: make(map[*[]byte]struct{})} }

func (p *poisonPool) Get(length int) *[]byte {
	buffer := make([]byte, length)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out[&buffer] = struct{}{}
	p.max = max(p.max, len(p.out))
	p.bytes += length
	return &buffer
}

func (p *poisonPool) Put(buffer *[]byte) {
	whole := (*buffer)[:cap(*buffer)]
	for i := range whole {
		whole[i] = poison
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.out[buffer]; !ok {
		panic("buffer is given back that is not out")
	}
	delete(p.out, buffer)
}

// missing is the number of buffers that are not given back.
func (p *poisonPool) missing() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out)
}

// requireEmpty fails the test unless all buffers have come back.
func (p *poisonPool) requireEmpty(t *testing.T) {
	t.Helper()
	require.Zero(t, p.missing(), "buffers that were not freed")
}
