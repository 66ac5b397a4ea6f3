package hooks

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// TransactionMetadata is the gRPC metadata key that makes a node vote. Its first value counts.
const TransactionMetadata = "gitaly-reference-transaction"

// Transaction says in which vote a node takes part, and as whom.
type Transaction struct {
	// ID is the coordinator's name for the transaction.
	ID uint64 `json:"id"`
	// Node is the voter: the storage name of this node.
	Node string `json:"node"`
	// Primary says that this node runs the custom hooks for all.
	Primary bool `json:"primary"`
	// BackchannelID names the connection on which the coordinator is reached. It means something
	// only inside the node, which fills it; it never comes over the network.
	BackchannelID uint64 `json:"backchannel_id,omitempty"`
}

// ParseTransaction decodes the value of [TransactionMetadata].
func ParseTransaction(value string) (Transaction, error) {
	decoded, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return Transaction{}, fmt.Errorf("from serialized: %w", err)
	}

	var transaction Transaction
	if err := json.Unmarshal(decoded, &transaction); err != nil {
		return Transaction{}, fmt.Errorf("from serialized: %w", err)
	}
	transaction.BackchannelID = 0

	return transaction, nil
}
