package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// updatesMax bounds what one call may change; a mirror with more is pushed, not listed.
const updatesMax = 1_000_000

// UpdateReferences implements gitalypb.RefServiceServer. All updates are applied, or none.
func (s *refService) UpdateReferences(
	stream grpc.ClientStreamingServer[
		gitalypb.UpdateReferencesRequest, gitalypb.UpdateReferencesResponse],
) error {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	repo, err := s.node.find(first.GetRepository())
	if err != nil {
		return err
	}

	var updates []git.Update
	for request := first; ; {
		more, err := checkUpdates(request.GetUpdates())
		if err != nil {
			return err
		}
		if updates = append(updates, more...); len(updates) > updatesMax {
			return failf(codes.ResourceExhausted, "more than %d updates", updatesMax)
		}
		request, err = stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err //nolint:wrapcheck // a status already
		}
	}
	if len(updates) == 0 {
		return failf(codes.InvalidArgument, "no updates specified")
	}

	if err := s.node.updateWithHooks(stream.Context(), repo, updates); err != nil {
		return fmt.Errorf("update references: %w", explainUpdates(updates, err))
	}

	return stream.SendAndClose(&gitalypb.UpdateReferencesResponse{}) //nolint:wrapcheck // a status
}

func checkUpdates(messages []*gitalypb.UpdateReferencesRequest_Update) ([]git.Update, error) {
	var updates []git.Update
	for _, message := range messages {
		u := git.Update{
			Reference: string(message.GetReference()),
			Old:       string(message.GetOldObjectId()),
			New:       string(message.GetNewObjectId()),
		}
		switch {
		case !strings.HasPrefix(u.Reference, "refs/"), strings.ContainsAny(u.Reference, "\x00\n "):
			return nil, malformed(u.Reference)
		case u.Old != "" && !isObjectID(u.Old):
			return nil, failf(codes.InvalidArgument, "invalid old object id: %q", u.Old)
		case !isObjectID(u.New):
			return nil, failf(codes.InvalidArgument, "invalid new object id: %q", u.New)
		}
		updates = append(updates, u)
	}

	return updates, nil
}

func malformed(references ...string) error {
	var names [][]byte
	for _, name := range references {
		names = append(names, []byte(name))
	}

	return &failure{
		code: codes.InvalidArgument,
		err:  fmt.Errorf("invalid reference format: %q", references),
		detail: &gitalypb.UpdateReferencesError{
			Error: &gitalypb.UpdateReferencesError_InvalidFormat{
				InvalidFormat: &gitalypb.InvalidRefFormatError{Refs: names},
			},
		},
	}
}

// updateWithHooks changes references by a Git that votes in its hooks. Its locks are held while it
// does, so it is not ended with the call: its votes are cancelled then, and it undoes.
func (n *Node) updateWithHooks(ctx context.Context, repo repository, updates []git.Update) error {
	part, err := n.participate(ctx)
	if err != nil {
		return err
	}
	operation, err := n.operate(ctx, repo, part, hooks.Pusher{})
	if err != nil {
		return err
	}
	defer operation.end()

	return operation.explain(n.git.Run(context.WithoutCancel(ctx), operation.command(git.Command{
		Repository: repo.path,
		Args:       []string{"update-ref", "--stdin", "-z"},
		Stdin:      git.UpdateInput(updates),
	})))
}

// explainUpdates gives the failure of an update the code and the details by which callers tell the
// reasons apart.
func explainUpdates(updates []git.Update, err error) error {
	concerned := concernedBy(updates, err)
	switch {
	case git.Locked(err):
		return &failure{
			code: codes.Aborted, err: err,
			detail: &gitalypb.UpdateReferencesError{
				Error: &gitalypb.UpdateReferencesError_ReferencesLocked{
					ReferencesLocked: &gitalypb.ReferencesLockedError{
						Refs: [][]byte{[]byte(concerned.Reference)},
					},
				},
			},
		}
	case git.Moved(err):
		return &failure{
			code: codes.FailedPrecondition, err: err,
			detail: &gitalypb.UpdateReferencesError{
				Error: &gitalypb.UpdateReferencesError_ReferenceStateMismatch{
					ReferenceStateMismatch: &gitalypb.ReferenceStateMismatchError{
						ReferenceName:    []byte(concerned.Reference),
						ExpectedObjectId: []byte(concerned.Old),
					},
				},
			},
		}
	case git.Malformed(err):
		return malformed(concerned.Reference)
	default:
		return err
	}
}

// concernedBy finds the update whose reference Git names in its message.
func concernedBy(updates []git.Update, err error) git.Update {
	if failed, ok := errors.AsType[*git.Error](err); ok {
		for _, u := range updates {
			if strings.Contains(failed.Stderr, "'"+u.Reference+"'") ||
				strings.HasSuffix(failed.Stderr, ": "+u.Reference) {
				return u
			}
		}
	}

	return git.Update{}
}
