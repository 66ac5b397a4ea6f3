package replicate

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"praefect/proxy/backend"
)

// headerServers tells a node how to reach others: base64 of a JSON object from storage name to
// address and token.
const headerServers = "gitaly-servers"

type server struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

func serversHeader(n backend.Node) (string, error) {
	raw, err := json.Marshal(map[string]server{n.Storage: {Address: n.Address, Token: n.Token}})
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", headerServers, err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}
