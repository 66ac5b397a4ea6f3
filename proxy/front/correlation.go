package front

import (
	"context"
	"crypto/rand"

	"google.golang.org/grpc/metadata"
)

// correlationKey is the metadata key by which the log lines of one request are found in the logs of
// all programs that took part in it.
const correlationKey = "x-gitlab-correlation-id"

type correlationID struct{}

// CorrelationID returns the id of the call with ctx, or the empty string without a call.
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(correlationID{}).(string)
	return id
}

// correlate takes the client's id or makes one. It is also put into the incoming metadata, so that
// whoever passes these on passes the id on.
func correlate(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get(correlationKey); len(values) > 0 && values[0] != "" {
		return context.WithValue(ctx, correlationID{}, values[0])
	}
	id := rand.Text()
	md = metadata.Join(md, metadata.Pairs(correlationKey, id))
	return context.WithValue(metadata.NewIncomingContext(ctx, md), correlationID{}, id)
}
