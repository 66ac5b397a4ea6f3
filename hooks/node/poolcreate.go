package node

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// CreateObjectPool implements gitalypb.ObjectPoolServiceServer.
//
// A node with new Git makes a pool by a clone, and the clone announces its references to the
// reference-transaction hook before the repository is voted on: twice prepared, once for the loose
// and once for the packed references, and never committed. This node casts the same votes.
func (s *objectPoolService) CreateObjectPool(
	ctx context.Context, request *gitalypb.CreateObjectPoolRequest,
) (*gitalypb.CreateObjectPoolResponse, error) {
	origin, err := s.node.find(request.GetOrigin())
	if err != nil {
		return nil, fmt.Errorf("find origin: %w", err)
	}
	pool, err := s.node.locate(request.GetObjectPool().GetRepository())
	if err != nil {
		return nil, fmt.Errorf("locate pool: %w", err)
	}
	part, err := s.node.participate(ctx)
	if err != nil {
		return nil, err
	}
	c, err := s.node.likeness(ctx, origin.path)
	if err != nil {
		return nil, err
	}

	c.seed = func(ctx context.Context, dir string) error {
		if err := s.node.copyLocally(ctx, origin.path, dir); err != nil {
			return err
		}

		return s.node.announce(ctx, part, dir)
	}
	if err := s.node.create(ctx, pool, c); err != nil {
		return nil, fmt.Errorf("create pool: %w", err)
	}

	return &gitalypb.CreateObjectPoolResponse{}, nil
}

// likeness returns how a repository begins that shall be like another one.
func (n *Node) likeness(ctx context.Context, dir string) (creation, error) {
	name, err := n.optional(ctx, dir, "rev-parse", "--show-object-format")
	if err != nil {
		return creation{}, fmt.Errorf("ask for object format: %w", err)
	}
	head, err := n.head(ctx, dir)
	if err != nil {
		return creation{}, err
	}

	format := gitalypb.ObjectFormat_value["OBJECT_FORMAT_"+strings.ToUpper(name)]

	return creation{
		branch: strings.TrimPrefix(head.target, "refs/heads/"),
		format: gitalypb.ObjectFormat(format),
	}, nil
}

// copyLocally fetches all references of a repository of this storage into a new one.
func (n *Node) copyLocally(ctx context.Context, from, to string) error {
	err := n.git.Run(ctx, git.Command{
		Repository: to,
		Args: []string{
			"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--atomic",
			from, "+refs/*:refs/*",
		},
	})
	if err != nil {
		return fmt.Errorf("copy origin: %w", err)
	}

	return nil
}

// announce casts the votes of a clone for its references.
func (n *Node) announce(ctx context.Context, part participation, dir string) error {
	found, err := n.references(ctx, dir)
	if err != nil || len(found) == 0 {
		return err
	}

	var lines strings.Builder
	for _, r := range found {
		lines.WriteString(hooks.UpdateLine(zeroID(formatOf(r.object)), r.object, r.name))
	}
	for _, store := range []string{"loose", "packed"} {
		if err := part.Vote(ctx, hooks.Prepared, hooks.SumText(lines.String())); err != nil {
			return failf(codes.FailedPrecondition, "vote on %s references: %w", store, err)
		}
	}

	return nil
}

// formatOf tells the object format by an object id.
func formatOf(object string) string {
	if len(object) == len(zeroID("sha256")) {
		return "sha256"
	}

	return "sha1"
}
