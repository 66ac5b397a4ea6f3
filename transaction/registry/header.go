package registry

import (
	"encoding/base64"
	"encoding/json"

	"praefect/transaction"
)

// HeaderKey is the metadata key that tells a node that its call takes part in a transaction.
const HeaderKey = "gitaly-reference-transaction"

type header struct {
	ID      uint64 `json:"id"`
	Node    string `json:"node"`
	Primary bool   `json:"primary"`
}

// Header returns the value of [HeaderKey] for the call to the given voter.
func (l *Live) Header(voter transaction.Voter) string {
	b, err := json.Marshal(header{
		ID: l.id, Node: string(voter), Primary: voter == l.seats[0].voter,
	})
	if err != nil {
		panic("registry: marshal header: " + err.Error()) // a number, a string and a bool
	}
	return base64.StdEncoding.EncodeToString(b)
}
