package node

import (
	"strconv"
	"strings"
	"sync"

	"praefect/proxy/gitalypb"
)

// negotiation listens to what a fetching client says, and counts it. It keeps the line that it is
// reading only.
type negotiation struct {
	mu     sync.Mutex // guards the fields below
	rest   []byte     // the beginning of a packet that is not complete
	broken bool       // what came is not made of packets
	counts gitalypb.PackfileNegotiationStatistics
}

// packetHeader is the length of the length in front of a packet.
const packetHeader = 4

// Write implements io.Writer and never fails: whatever a client says is Git's to judge.
func (n *negotiation) Write(data []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.counts.PayloadSize += int64(len(data))
	if n.broken {
		return len(data), nil
	}
	n.rest = append(n.rest, data...)
	for len(n.rest) >= packetHeader {
		length, err := strconv.ParseUint(string(n.rest[:packetHeader]), 16, 16)
		if err != nil {
			n.broken, n.rest = true, nil

			break
		}
		length = max(length, packetHeader) // the special packets have no payload
		if uint64(len(n.rest)) < length {
			break
		}
		n.count(string(n.rest[packetHeader:length]))
		n.rest = n.rest[length:]
	}

	return len(data), nil
}

// count looks at one packet.
func (n *negotiation) count(line string) {
	n.counts.Packets++
	verb, argument, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	switch verb {
	case "want":
		n.counts.Wants++
		if _, capabilities, ok := strings.Cut(argument, " "); ok && n.counts.GetWants() == 1 {
			n.counts.Caps = strings.Fields(capabilities)
		}
	case "have":
		n.counts.Haves++
	case "shallow":
		n.counts.Shallows++
	case "deepen", "deepen-since", "deepen-not":
		n.counts.Deepen = strings.TrimPrefix(verb, "deepen-") + " " + argument
		if verb == "deepen" {
			n.counts.Deepen = argument
		}
	case "filter":
		n.counts.Filter = argument
	}
}

// statistics returns what was counted so far.
func (n *negotiation) statistics() *gitalypb.PackfileNegotiationStatistics {
	n.mu.Lock()
	defer n.mu.Unlock()

	return &gitalypb.PackfileNegotiationStatistics{
		PayloadSize: n.counts.GetPayloadSize(), Packets: n.counts.GetPackets(),
		Caps: n.counts.GetCaps(), Wants: n.counts.GetWants(), Haves: n.counts.GetHaves(),
		Shallows: n.counts.GetShallows(), Deepen: n.counts.GetDeepen(),
		Filter: n.counts.GetFilter(),
	}
}
