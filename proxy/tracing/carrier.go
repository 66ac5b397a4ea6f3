package tracing

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// carrier is metadata as the library wants to see them. Its keys are in lower case.
type carrier metadata.MD

// Get returns the first value of a key. A client that sends several sends none that is valid.
func (c carrier) Get(key string) string {
	if values := c[key]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// Set replaces all values of a key.
func (c carrier) Set(key, value string) { c[key] = []string{value} }

// Keys returns all keys.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}

// inject returns a context whose call tells the node in which span it is made. It takes the place
// of what the client has sent, which named its own.
func (t *Tracer) inject(ctx context.Context) context.Context {
	outgoing, ok := metadata.FromOutgoingContext(ctx) // A copy.
	if !ok {
		outgoing = metadata.MD{}
	}
	for _, key := range t.propagator.Fields() {
		delete(outgoing, key)
	}
	t.propagator.Inject(ctx, carrier(outgoing))
	return metadata.NewOutgoingContext(ctx, outgoing)
}
