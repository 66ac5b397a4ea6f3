package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// change is a reference that the application changes for a user, with the hooks of a push around
// it.
type change struct {
	repo   repository
	user   *gitalypb.User
	update git.Update // with the old value
}

// apply runs the hooks, votes and changes the reference, in the order of a push. The vote in front
// of the lock is the node's own; those under it are cast by the hook that Git runs.
func (n *Node) apply(ctx context.Context, c change) error {
	part, err := n.participate(ctx)
	if err != nil {
		return err
	}
	operation, err := n.operate(ctx, c.repo, part, hooks.Pusher{
		ID: c.user.GetGlId(), Name: c.user.GetGlUsername(), Protocol: "web",
	})
	if err != nil {
		return err
	}
	defer operation.end()

	line := c.update.Old + " " + c.update.New + " " + c.update.Reference + "\n"
	if err := operation.hook(ctx, c.repo, line, "pre-receive"); err != nil {
		return err
	}
	err = operation.hook(ctx, c.repo, "", "update", c.update.Reference, c.update.Old, c.update.New)
	if err != nil {
		return err
	}
	if err := part.Vote(ctx, hooks.Preparing, hooks.SumText(line)); err != nil {
		return failf(refusalCode(err), "preparing vote: %w", err)
	}
	updates := []git.Update{c.update}
	err = operation.explain(n.git.Run(context.WithoutCancel(ctx), operation.command(git.Command{
		Repository: c.repo.path,
		Args:       []string{"update-ref", "--stdin", "-z"},
		Stdin:      git.UpdateInput(updates),
	})))
	if err != nil {
		return explainUpdates(updates, err)
	}

	return operation.hook(ctx, c.repo, line, "post-receive")
}

// hook runs one of the hooks of a push for a change that Git does not make as a push.
func (o *operation) hook(
	ctx context.Context, repo repository, input, name string, args ...string,
) error {
	var said bytes.Buffer
	command := exec.CommandContext(ctx, filepath.Join(o.node.hooksDir, name), args...)
	command.Dir, command.Stdin = repo.path, strings.NewReader(input)
	command.Stdout, command.Stderr = &said, &said
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.DevNull, "GIT_DIR=" + repo.path, o.environ,
	}
	if err := command.Run(); err != nil {
		err = fmt.Errorf("%s hook: %w: %s", name, err, strings.TrimSpace(said.String()))
		if refused := o.explain(err); !errors.Is(refused, err) || o.votes.refusal() != nil {
			return refused
		}

		return fail(codes.PermissionDenied, err)
	}

	return nil
}

// branchTip returns the object of a branch; the id of nothing when there is no such branch.
func (n *Node) branchTip(ctx context.Context, repo repository, branch string) (string, error) {
	if branch == "" {
		return "", failf(codes.InvalidArgument, "empty branch name")
	}
	if err := n.checkBranch(ctx, branch); err != nil {
		return "", err
	}
	tip, err := n.optional(ctx, repo.path,
		"rev-parse", "--quiet", "--verify", "refs/heads/"+branch)
	if err != nil {
		return "", fmt.Errorf("read branch: %w", err)
	}
	if tip != "" {
		return tip, nil
	}
	format, err := n.optional(ctx, repo.path, "rev-parse", "--show-object-format")
	if err != nil {
		return "", fmt.Errorf("ask for object format: %w", err)
	}

	return zeroID(format), nil
}

// isZero says that an id is that of nothing.
func isZero(object string) bool { return strings.Trim(object, "0") == "" }
