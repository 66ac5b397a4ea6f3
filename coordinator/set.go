package coordinator

import "math/bits"

// set is a set of storages of one virtual storage, by their place in its configuration.
type set uint32

func (s set) has(place int) bool    { return s&(1<<place) != 0 }
func (s set) with(place int) set    { return s | 1<<place }
func (s set) without(place int) set { return s &^ (1 << place) }
func (s set) count() int            { return bits.OnesCount32(uint32(s)) }
func (s set) minus(other set) set   { return s &^ other }
func (s set) lowest() int           { return bits.TrailingZeros32(uint32(s)) }
func (s set) dropLowest() set       { return s & (s - 1) }
func (s set) contains(sub set) bool { return sub&^s == 0 }

// nth returns the place of the n-th element, counted from zero; n must be below the count.
func (s set) nth(n int) int {
	for range n {
		s = s.dropLowest()
	}
	return s.lowest()
}
