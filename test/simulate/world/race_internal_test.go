//go:build race

package world

// raced says that the race detector is on, which makes the order of goroutines random.
const raced = true
