package hooks

import (
	"encoding/json"
	"fmt"
	"strings"
)

// PayloadVariable is the environment variable in which a node tells the hooks of a Git process
// what they need to know.
const PayloadVariable = "PRAEFECT_HOOKS_PAYLOAD"

// Payload is what a hook knows about the operation that it belongs to.
type Payload struct {
	// Socket is the path at which the node listens for its hooks.
	Socket string `json:"socket"`
	// Token names the operation. Whoever has it can vote for the node, so custom hooks are not
	// given it.
	Token string `json:"token"`
	// Transaction is nil when nothing is voted on.
	Transaction *Transaction `json:"transaction,omitempty"`
	// Storage, RelativePath and Path say which repository it is and where it lies on the disk.
	Storage      string `json:"storage"`
	RelativePath string `json:"relative_path"`
	Path         string `json:"path"`
	// Pusher is who pushes; empty for changes without a push.
	Pusher Pusher `json:"pusher"`
}

// Pusher is who pushes, in the words of the application. Custom hooks get it in their environment.
type Pusher struct {
	ID         string `json:"id,omitempty"`
	Name       string `json:"name,omitempty"`
	Repository string `json:"repository,omitempty"`
	Protocol   string `json:"protocol,omitempty"`
}

// Environ returns the variables that custom hooks get in addition to those of Git.
func (p Pusher) Environ() []string {
	return []string{
		"GL_ID=" + p.ID,
		"GL_USERNAME=" + p.Name,
		"GL_REPOSITORY=" + p.Repository,
		"GL_PROTOCOL=" + p.Protocol,
	}
}

// Voting tells whether the node takes part in a vote.
func (p Payload) Voting() bool { return p.Transaction != nil }

// RunsCustomHooks tells whether custom hooks run here: they run once for all nodes, so only on the
// primary of a vote.
func (p Payload) RunsCustomHooks() bool {
	return p.Transaction == nil || p.Transaction.Primary
}

// Environ returns the payload as an entry of a process's environment.
func (p Payload) Environ() (string, error) {
	encoded, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode payload: %w", err)
	}

	return PayloadVariable + "=" + string(encoded), nil
}

// PayloadFrom finds the payload in an environment.
func PayloadFrom(environ []string) (Payload, error) {
	for _, entry := range environ {
		value, ok := strings.CutPrefix(entry, PayloadVariable+"=")
		if !ok {
			continue
		}

		var payload Payload
		if err := json.Unmarshal([]byte(value), &payload); err != nil {
			return Payload{}, fmt.Errorf("decode payload: %w", err)
		}

		return payload, nil
	}

	return Payload{}, ErrNoPayload
}
