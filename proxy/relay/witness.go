package relay

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// Witness tells a status that a node sent from one that the library made up because the
// connection broke: only for the former are there trailers. It has to be installed on every
// connection that a [Fan] uses, see [DialOptions]. Without it no failed call counts as ended by its
// node. [Relay.Read] does not ask it.
type Witness struct{}

// endingKey is the key under which the context of a call holds its *atomic.Bool.
type endingKey struct{}

// withEnding returns a context whose call sets the flag when trailers arrive.
func withEnding(ctx context.Context, ended *atomic.Bool) context.Context {
	return context.WithValue(ctx, endingKey{}, ended)
}

// HandleRPC notes the arrival of trailers. The library calls it before the status is returned.
func (Witness) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, trailer := event.(*stats.InTrailer); !trailer {
		return
	}
	if ended, ok := ctx.Value(endingKey{}).(*atomic.Bool); ok {
		ended.Store(true)
	}
}

// TagRPC returns the context unchanged.
func (Witness) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn returns the context unchanged.
func (Witness) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (Witness) HandleConn(context.Context, stats.ConnStats) {}
