package sidechannel

import (
	"context"
	"strconv"

	"google.golang.org/grpc/metadata"
)

// Key is the metadata key with which a client offers a sidechannel. Its value
// is the waiter's id in decimal digits; of several values the last counts.
const Key = "gitaly-sidechannel-id"

// Offered tells whether the caller of the served call with ctx waits for a
// sidechannel.
func Offered(ctx context.Context) bool {
	return len(metadata.ValueFromIncomingContext(ctx, Key)) > 0
}

// offeredID returns the id that the caller offered. One that is no number
// counts as 0, which the caller will hardly know.
func offeredID(ctx context.Context) (int64, error) {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return 0, ErrNoMetadata
	}
	values := md.Get(Key)
	if len(values) == 0 {
		return 0, ErrNoID
	}
	id, err := strconv.ParseInt(values[len(values)-1], 10, 64)
	if err != nil {
		id = 0
	}
	return id, nil
}

func pair(id int64) metadata.MD {
	return metadata.Pairs(Key, strconv.FormatInt(id, 10))
}
