package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// CreateFork implements gitalypb.RepositoryServiceServer: branches and tags of the source, or only
// those that a revision names, and what its HEAD points to.
func (s *repositoryService) CreateFork(
	ctx context.Context, request *gitalypb.CreateForkRequest,
) (*gitalypb.CreateForkResponse, error) {
	repo, err := s.node.locate(request.GetRepository())
	if err != nil {
		return nil, err
	}
	from, err := s.node.reach(ctx, request.GetSourceRepository())
	if err != nil {
		return nil, err
	}
	err = s.node.fork(ctx, repo, from, string(request.GetRevision()))
	if err := errors.Join(err, from.close()); err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}

	return &gitalypb.CreateForkResponse{}, nil
}

func (n *Node) fork(ctx context.Context, repo repository, from *source, only string) error {
	format, err := from.repositories.ObjectFormat(ctx,
		&gitalypb.ObjectFormatRequest{Repository: from.message})
	if err != nil {
		return from.failed("ask for object format", err)
	}
	wanted, err := from.list(ctx)
	if err != nil {
		return err
	}
	wanted.references = slices.DeleteFunc(wanted.references, func(r reference) bool {
		return only != "" && r.name != only || only == "" &&
			!strings.HasPrefix(r.name, "refs/heads/") && !strings.HasPrefix(r.name, "refs/tags/")
	})

	return n.create(ctx, repo, creation{
		branch: strings.TrimPrefix(wanted.head, "refs/heads/"), format: format.GetFormat(),
		seed: func(ctx context.Context, dir string) error {
			a := alignment{node: n, dir: dir, from: from}
			if err := a.bring(ctx, nil, wanted); err != nil {
				return err
			}
			updates := plan(nil, wanted.references)

			return n.git.Run(ctx, git.Command{
				Repository: dir, Args: []string{"update-ref", "--stdin", "-z"},
				Stdin: git.UpdateInput(append(updates.first, updates.rest...)),
			})
		},
	})
}
