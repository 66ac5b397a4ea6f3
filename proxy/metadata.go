package proxy

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"praefect/transaction"
	"praefect/transaction/registry"
)

const (
	// correlationKey names a request throughout a GitLab installation.
	correlationKey = "x-gitlab-correlation-id"
	// virtualStorageKey tells nodes under which name the client knows the storage.
	virtualStorageKey = "virtual_storage"
	// hintKey names a repository near which another one shall be placed.
	hintKey = "gitaly-partitioning-hint"
	// policyKey says how a read is routed, policyPrimary that it must see the latest write that
	// was begun.
	policyKey     = "gitaly-route-repository-accessor-policy"
	policyPrimary = "primary-only"
)

// outgoing returns what nodes are told beside the messages: all that the client sent, except what
// belongs to its connection to us, and the feature flags that it did not send.
func (h *Handler) outgoing(c *call) metadata.MD {
	md := c.visit.carried(h.pins)
	// The client's slices are shared, so they are never appended to in place.
	name := string(c.key.VirtualStorage)
	md[virtualStorageKey] = append(slices.Clip(md[virtualStorageKey]), name)
	return md
}

// carried returns what any call to a node on behalf of the client has to come with. Its values are
// shared.
func (v *visit) carried(flags []pin) metadata.MD {
	md := make(metadata.MD, len(v.incoming)+len(flags)+3)
	for key, values := range v.incoming {
		if forwarded(key) {
			md[key] = values
		}
	}
	md[correlationKey] = []string{v.correlation}
	fix(md, flags)
	return md
}

// forwarded tells whether metadata of that name concern more than one connection. Clients'
// credentials are for us alone; a node has its own. Nor may a client make a node take part in a
// vote: a node that is a client itself, as in a fetch from a repository elsewhere, may pass on its
// own.
func forwarded(key string) bool {
	switch key {
	case "authorization", "content-type", "user-agent", "te", registry.HeaderKey:
		return false
	}
	return !strings.HasPrefix(key, ":") && !strings.HasPrefix(key, "grpc-")
}

// with returns metadata in which a key has one other value.
func with(md metadata.MD, key, value string) metadata.MD {
	changed := maps.Clone(md)
	changed[key] = []string{value}
	return changed
}

// joined returns metadata with further values behind those that are there.
func joined(md, further metadata.MD) metadata.MD {
	changed := maps.Clone(md)
	for key, values := range further {
		changed[key] = append(slices.Clip(changed[key]), values...)
	}
	return changed
}

// voting returns metadata that make a node vote.
func voting(md metadata.MD, live *registry.Live, node transaction.Voter) metadata.MD {
	return with(md, registry.HeaderKey, live.Header(node))
}

// hint returns the hint of the client, empty when there is none.
func (c *call) hint() (string, error) {
	values := c.visit.incoming[hintKey]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", ErrManyHints
	}
}

// primaryOnly tells whether a read has to be answered by the primary.
func (c *call) primaryOnly() bool {
	policy := c.visit.incoming[policyKey]
	return c.method.PrimaryOnly || (len(policy) > 0 && policy[0] == policyPrimary)
}

// correlationOf returns the id under which a call is known, a new one if it has none.
func correlationOf(incoming metadata.MD) string {
	if values := incoming[correlationKey]; len(values) > 0 && values[0] != "" {
		return values[0]
	}
	return rand.Text()
}

// incomingOf returns the client's metadata. It must not be changed.
func incomingOf(ctx context.Context) metadata.MD {
	md, _ := metadata.FromIncomingContext(ctx)
	return md
}
