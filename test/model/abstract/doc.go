// Package abstract is the protocol of turns, records, recovery and repair as the model in
// replication.pml has it, as a machine that follows what the product does: it takes one event after
// the other and refuses what the protocol does not allow in the state that it has come to. So a
// trace of the simulation is a path of the model's states, or model and code have drifted apart.
//
// It does not know why something happens, nor what must happen: only what may. What readers see and
// whether everything ends is for the simulation's own checkers.
//
// Events come in the order of their effects. One [State] follows one repository, and belongs to one
// goroutine.
package abstract
