package transaction

// graceState follows a short wait.
type graceState uint8

const (
	graceNone graceState = iota
	graceRunning
	graceEnded
)

// GraceEnded reports that the wait of [Ready.Grace] for the given write is over.
func (t *Transaction) GraceEnded(write uint64) {
	switch {
	case write == 0 && t.tail == graceRunning:
		t.tail = graceEnded
	case write == t.write.number && t.write.grace == graceRunning:
		t.write.grace = graceEnded
	default:
		return
	}
	t.settle()
}

// graceFor describes the wait for those voters that are wanted.
func (t *Transaction) graceFor(write uint64, wanted func(*voter) bool) *Grace {
	g := &Grace{Write: write}
	for i := range t.voters {
		if v := &t.voters[i]; wanted(v) {
			g.Voters = append(g.Voters, v.name)
			g.Primary = g.Primary || i == 0
		}
	}
	return g
}
