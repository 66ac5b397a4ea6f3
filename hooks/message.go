package hooks

import "errors"

// What a hook can ask its node for. Each request has a connection of its own.
const (
	callVote = "vote" // cast a vote and wait for the verdict
	callStop = "stop" // tell the coordinator that the primary refuses
	callHold = "hold" // answered when the custom hooks must not run any longer
)

// request is what a hook sends to its node.
type request struct {
	Token string `json:"token"`
	Call  string `json:"call"`
	Hook  string `json:"hook"`
	Phase Phase  `json:"phase,omitempty"`
	Hash  []byte `json:"hash,omitempty"`
}

// answer is what the node sends back; an empty error means success.
type answer struct {
	Error string `json:"error,omitempty"`
}

func answerOf(err error) answer {
	if err == nil {
		return answer{}
	}

	return answer{Error: err.Error()}
}

func (a answer) err() error {
	if a.Error == "" {
		return nil
	}

	return errors.New(a.Error)
}
