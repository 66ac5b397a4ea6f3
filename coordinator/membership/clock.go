package membership

import "time"

// Instant is a moment by the two clocks of a machine, each from a beginning of its own.
type Instant struct {
	// Monotonic is never set, but may stand still while the machine is suspended.
	Monotonic time.Duration
	// Wall goes on then, but may be set.
	Wall time.Duration
}

// Clock reads both clocks. It is called for each cached read.
type Clock func() Instant

// systemClock reads the clocks of this machine.
func systemClock() Clock {
	start := time.Now()
	return func() Instant {
		now := time.Now()
		return Instant{Monotonic: now.Sub(start), Wall: time.Duration(now.UnixNano())}
	}
}

// before says whether neither clock has reached the end.
func (i Instant) before(end Instant) bool {
	return i.Monotonic < end.Monotonic && i.Wall < end.Wall
}

func (i Instant) add(duration time.Duration) Instant {
	return Instant{Monotonic: i.Monotonic + duration, Wall: i.Wall + duration}
}
