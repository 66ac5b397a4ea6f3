package world

import (
	"sync"
	"time"
)

// chance answers everything that is left to chance by a hash of what is asked, so that an answer
// does not depend on what else is asked.
type chance struct {
	seed uint64

	mu     sync.Mutex // guards the field below
	counts map[uint64]uint64
}

func newChance(seed uint64) *chance { return &chance{seed: seed, counts: map[uint64]uint64{}} }

// mixing constants of splitmix64.
const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xbf58476d1ce4e5b9
	mixC = 0x94d049bb133111eb
)

func mix(x uint64) uint64 {
	x += mixA
	x = (x ^ x>>30) * mixB
	x = (x ^ x>>27) * mixC
	return x ^ x>>31
}

// hash is FNV-1a.
func hash(state uint64, text string) uint64 {
	for i := range len(text) {
		state = (state ^ uint64(text[i])) * 0x100000001b3
	}
	return state * 0x100000001b3
}

// number returns a number for the next thing of that name.
func (c *chance) number(names ...string) uint64 {
	key := c.seed ^ 0xcbf29ce484222325
	for _, name := range names {
		key = hash(key, name)
	}
	c.mu.Lock()
	c.counts[key]++
	count := c.counts[key]
	c.mu.Unlock()
	return mix(mix(key) + count)
}

// between returns a duration, to the nanosecond.
func (c *chance) between(least, most time.Duration, names ...string) time.Duration {
	return least + time.Duration(c.number(names...)%uint64(most-least+1))
}

// percent says yes so many times of a hundred.
func (c *chance) percent(share int, names ...string) bool {
	return share > 0 && c.number(names...)%100 < uint64(share)
}

// source is randomness for one process of the product.
type source struct {
	chance *chance
	name   string
}

// Uint64 implements rand.Source.
func (s source) Uint64() uint64 { return s.chance.number(s.name) }
