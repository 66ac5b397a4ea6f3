package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/disk"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// ReplicateRepository implements gitalypb.RepositoryServiceServer. The repository becomes equal to
// the source: references in all namespaces, HEAD, configuration, custom hooks. It borrows from the
// same pool if that is in this storage too. Objects are copied before anything is deleted.
func (s *repositoryService) ReplicateRepository(
	ctx context.Context, request *gitalypb.ReplicateRepositoryRequest,
) (*gitalypb.ReplicateRepositoryResponse, error) {
	repo, err := s.node.locate(request.GetRepository())
	if err != nil {
		return nil, err
	}
	if request.GetSource().GetStorageName() == s.node.cfg.Storage {
		return nil, failf(codes.InvalidArgument, "repository and source have the same storage")
	}
	from, err := s.node.reach(ctx, request.GetSource())
	if err != nil {
		return nil, err
	}

	err = s.node.replicate(ctx, repo, from)
	if err := errors.Join(err, from.close()); err != nil {
		return nil, fmt.Errorf("replicate repository: %w", err)
	}

	return &gitalypb.ReplicateRepositoryResponse{}, nil
}

func (n *Node) replicate(ctx context.Context, repo repository, from *source) error {
	if !disk.IsRepository(repo.path) {
		err := n.replicateNew(ctx, repo, from)
		if !errors.Is(err, disk.ErrExists) {
			return err
		}
		// Somebody else has created it meanwhile.
	}

	part, err := n.participate(ctx)
	if err != nil {
		return err
	}
	if err := n.copyReferences(ctx, part, repo.path, from); err != nil {
		return err
	}
	if err := n.copyConfig(ctx, part, repo.path, from); err != nil {
		return err
	}

	return n.copyCustomHooks(ctx, part, repo.path, from)
}

// replicateNew creates the repository as a copy. It appears when it is complete.
func (n *Node) replicateNew(ctx context.Context, repo repository, from *source) error {
	format, err := from.repositories.ObjectFormat(ctx,
		&gitalypb.ObjectFormatRequest{Repository: from.message})
	if err != nil {
		return from.failed("ask for object format", err)
	}
	if err := n.clearRemains(repo); err != nil {
		return err
	}
	pool, err := n.sharedPool(ctx, repo, from)
	if err != nil {
		return err
	}

	// The creation is voted on as a whole, so its parts are not.
	part := participation{Voter: bystander{}}

	return n.create(ctx, repo, creation{
		format: format.GetFormat(),
		pool:   pool,
		seed: func(ctx context.Context, dir string) error {
			if err := n.copyReferences(ctx, part, dir, from); err != nil {
				return err
			}
			if err := n.copyConfig(ctx, part, dir, from); err != nil {
				return err
			}

			return n.copyCustomHooks(ctx, part, dir, from)
		},
	})
}

// sharedPool returns the path of the pool from which the source borrows, if it is in this storage
// too. Objects that it has need not be copied.
func (n *Node) sharedPool(ctx context.Context, repo repository, from *source) (string, error) {
	answer, err := from.pools.GetObjectPool(ctx,
		&gitalypb.GetObjectPoolRequest{Repository: from.message})
	if err != nil {
		return "", from.failed("ask for pool", err)
	}
	relative := answer.GetObjectPool().GetRepository().GetRelativePath()
	if relative == "" || relative == repo.relative {
		return "", nil
	}
	path, err := n.disk.Path(relative)
	if err != nil {
		return "", fmt.Errorf("locate pool: %w", err)
	}
	if !disk.IsRepository(path) {
		return "", nil
	}

	return path, nil
}

// clearRemains removes what is left of a repository that is none any more.
func (n *Node) clearRemains(repo repository) error {
	if !disk.IsRemains(repo.path) {
		return nil
	}
	unlock, err := n.disk.Lock(repo.relative)
	if err != nil {
		return err
	}
	defer unlock()

	discard, err := n.disk.Remove(repo.path)
	if err != nil {
		return err
	}

	return discard()
}

func (n *Node) copyReferences(
	ctx context.Context, part participation, dir string, from *source,
) error {
	return alignment{node: n, part: part, dir: dir, from: from}.run(ctx)
}

// copyConfig makes the configuration the source's.
func (n *Node) copyConfig(
	ctx context.Context, part participation, dir string, from *source,
) error {
	wanted, err := from.config(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "config")
	mine, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if bytes.Equal(mine, wanted) {
		return nil
	}

	// With another format of the repository Git could not read it any more.
	for _, key := range []string{`^extensions\.`, `^core\.repositoryformatversion$`} {
		here, err := n.settings(ctx, mine, key)
		if err != nil {
			return err
		}
		there, err := n.settings(ctx, wanted, key)
		if err != nil {
			return err
		}
		if here != there {
			return failf(codes.FailedPrecondition,
				"formats of the repositories differ: %q here, %q there", here, there)
		}
	}

	return n.replaceFile(ctx, part, path, wanted)
}

// settings returns the settings in a configuration whose keys match.
func (n *Node) settings(ctx context.Context, config []byte, key string) (string, error) {
	output, err := n.git.Output(ctx, git.Command{
		Args:  []string{"config", "--file", "-", "--get-regexp", key},
		Stdin: bytes.NewReader(config),
	})
	var failed *git.Error
	if errors.As(err, &failed) && failed.Code == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read settings: %w", err)
	}

	return strings.TrimSpace(string(output)), nil
}

// copyCustomHooks makes the custom hooks the source's.
func (n *Node) copyCustomHooks(
	ctx context.Context, part participation, dir string, from *source,
) error {
	wanted, err := from.customHooks(ctx)
	if err != nil {
		return err
	}
	var mine bytes.Buffer
	if err := packCustomHooks(dir, &mine); err != nil {
		return err
	}
	if bytes.Equal(mine.Bytes(), wanted) {
		return nil
	}
	if len(wanted) == 0 {
		return n.removeCustomHooks(dir)
	}

	return n.setCustomHooks(ctx, part, dir, bytes.NewReader(wanted))
}

// removeCustomHooks leaves a repository as if it never had custom hooks.
func (n *Node) removeCustomHooks(dir string) error {
	discard, err := n.disk.Remove(filepath.Join(dir, hooks.CustomHooksDir))
	if err != nil {
		return err
	}

	return discard()
}
