package recovery

import "errors"

var (
	// ErrInvalidConfig says that a value of the [Config] is negative or the times contradict each
	// other.
	ErrInvalidConfig = errors.New("invalid recovery configuration")

	// errSick says that a node is not healthy, or stopped being so while it was asked.
	errSick = errors.New("node is not healthy")
	// errSlow says that a node took longer to answer than it may.
	errSlow = errors.New("node takes too long to answer")
	// errRestless says that a replica kept changing while it was looked at.
	errRestless = errors.New("replica kept changing while it was read")
	// errNoAnswer says that nothing can be decided yet.
	errNoAnswer = errors.New("no replica that could be kept has answered")
	// errAnnounced says that replicas may differ for as long as a call takes.
	errAnnounced = errors.New("a call that nobody votes on is under way")
	// errLeaseLost says that another process may be deciding by now.
	errLeaseLost = errors.New("lease under which the turn was adopted is lost")
)
