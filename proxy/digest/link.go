package digest

import (
	"context"
	"fmt"

	"praefect/proxy/gitalypb"
)

// link names the object pool, or nothing. Pools have the same path on every node of a virtual
// storage.
func (r *replica) link(ctx context.Context) (string, error) {
	answer, err := gitalypb.NewObjectPoolServiceClient(r.conn).GetObjectPool(ctx,
		&gitalypb.GetObjectPoolRequest{Repository: r.message})
	if err != nil {
		return "", fmt.Errorf("get object pool: %w", err)
	}
	return fmt.Sprintf("%s:%q", Link, answer.GetObjectPool().GetRepository().GetRelativePath()), nil
}
