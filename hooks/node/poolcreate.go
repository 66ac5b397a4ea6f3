package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// CreateObjectPool implements gitalypb.ObjectPoolServiceServer.
//
// Nodes make a pool by a clone. New Git tells the reference-transaction hook of it before the
// repository itself is voted on: the references twice as prepared, once for each place in which it
// could store them, and never as committed; then HEAD as prepared and committed. Old Git keeps
// quiet, so this node casts these votes itself.
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

// copyLocally fetches what a clone of a repository of this storage gets into a new one.
func (n *Node) copyLocally(ctx context.Context, from, to string) error {
	err := n.git.Run(ctx, git.Command{
		Repository: to,
		Args: []string{
			"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--atomic",
			from, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
		},
	})
	if err != nil {
		return fmt.Errorf("copy origin: %w", err)
	}

	return nil
}

// announce casts the votes of a clone.
func (n *Node) announce(ctx context.Context, part participation, dir string) error {
	found, err := n.references(ctx, dir)
	if err != nil {
		return err
	}
	head, err := n.head(ctx, dir)
	if err != nil {
		return err
	}
	format, err := n.optional(ctx, dir, "rev-parse", "--show-object-format")
	if err != nil {
		return fmt.Errorf("ask for object format: %w", err)
	}

	var lines strings.Builder
	for _, r := range found {
		lines.WriteString(hooks.UpdateLine(zeroID(format), r.object, r.name))
	}
	references := hooks.SumText(lines.String())
	target := hooks.SumText(hooks.UpdateLine(zeroID(format), "ref:"+head.target, "HEAD"))
	votes := []announcement{{hooks.Prepared, target}, {hooks.Committed, target}}
	if len(found) > 0 {
		votes = slices.Insert(votes, 0,
			announcement{hooks.Prepared, references}, announcement{hooks.Prepared, references})
	}
	for _, vote := range votes {
		if err := part.Vote(ctx, vote.phase, vote.hash); err != nil {
			return failf(codes.FailedPrecondition, "vote on clone: %w", err)
		}
	}

	return nil
}

// announcement is one vote of a clone.
type announcement struct {
	phase hooks.Phase
	hash  hooks.Hash
}

// formatOf tells the object format by an object id.
func formatOf(object string) string {
	if len(object) == len(zeroID("sha256")) {
		return "sha256"
	}

	return "sha1"
}
