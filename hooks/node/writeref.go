package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// WriteRef implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) WriteRef(
	ctx context.Context, request *gitalypb.WriteRefRequest,
) (*gitalypb.WriteRefResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}

	if string(request.GetRef()) == "HEAD" {
		err = s.node.writeHead(ctx, repo, string(request.GetRevision()))
	} else {
		err = s.node.writeRef(ctx, repo, request)
	}
	if err != nil {
		return nil, fmt.Errorf("write reference: %w", err)
	}

	return &gitalypb.WriteRefResponse{}, nil
}

// writeRef points a reference at a revision. All zeros as the revision delete it.
func (n *Node) writeRef(
	ctx context.Context, repo repository, request *gitalypb.WriteRefRequest,
) error {
	u := git.Update{Reference: string(request.GetRef())}
	if err := n.checkReference(ctx, u.Reference); err != nil {
		return err
	}
	var err error
	if u.New, err = n.resolveOrZero(ctx, repo.path, string(request.GetRevision())); err != nil {
		return fmt.Errorf("resolve new revision: %w", err)
	}
	if old := string(request.GetOldRevision()); old != "" {
		if u.Old, err = n.resolveOrZero(ctx, repo.path, old); err != nil {
			return fmt.Errorf("resolve old revision: %w", err)
		}
	}

	updates := []git.Update{u}
	if err := n.updateWithHooks(ctx, repo, updates); err != nil {
		return explainUpdates(updates, err)
	}

	return nil
}

// resolveOrZero resolves a revision, and lets the id of nothing stand for itself.
func (n *Node) resolveOrZero(ctx context.Context, dir, revision string) (string, error) {
	if isObjectID(revision) && strings.Trim(revision, "0") == "" {
		return revision, nil
	}

	return n.resolve(ctx, dir, revision)
}

// checkReference checks the full name of a reference.
func (n *Node) checkReference(ctx context.Context, name string) error {
	if !strings.HasPrefix(name, "refs/") {
		return malformed(name)
	}
	err := n.git.Run(ctx, git.Command{Args: []string{"check-ref-format", name}})
	var failed *git.Error
	if errors.As(err, &failed) && failed.Code == 1 {
		return malformed(name)
	}

	return err
}

// writeHead makes HEAD point to a branch. Git before 2.46 calls no hook for that, so the node holds
// HEAD's lock itself and votes on the line that newer Git gives to its hook.
func (n *Node) writeHead(ctx context.Context, repo repository, target string) error {
	if err := n.checkReference(ctx, target); err != nil {
		return err
	}
	part, err := n.participate(ctx)
	if err != nil {
		return err
	}
	format, err := n.optional(ctx, repo.path, "rev-parse", "--show-object-format")
	if err != nil {
		return fmt.Errorf("ask for object format: %w", err)
	}

	return n.pointHead(ctx, part, repo.path, pointer{target: target, zero: zeroID(format)})
}

// pointer is what HEAD shall say.
type pointer struct {
	target string
	zero   string // the id of nothing in the repository's format
}

func (n *Node) pointHead(ctx context.Context, part participation, dir string, p pointer) error {
	hash := hooks.SumText(hooks.UpdateLine(p.zero, "ref:"+p.target, "HEAD"))
	file, err := n.disk.LockFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return err
	}
	err = file.Write([]byte("ref: " + p.target + "\n"))
	if err == nil {
		if err = part.Vote(ctx, hooks.Prepared, hash); err != nil {
			err = failf(refusalCode(err), "vote on HEAD: %w", err)
		}
	}
	if err != nil {
		return errors.Join(err, file.Abort())
	}
	if err := file.Commit(); err != nil {
		return errors.Join(err, file.Abort())
	}
	// As with a hook, the verdict on what is done already changes nothing.
	if err := part.Vote(ctx, hooks.Committed, hash); err != nil {
		n.log.Info("committing vote on HEAD failed", zap.Error(err))
	}

	return nil
}

// zeroID is the id of nothing in an object format.
func zeroID(format string) string {
	if format == "sha256" {
		return strings.Repeat("0", 64)
	}

	return strings.Repeat("0", 40)
}
