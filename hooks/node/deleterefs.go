package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// DeleteRefs implements gitalypb.RefServiceServer.
func (s *refService) DeleteRefs(
	ctx context.Context, request *gitalypb.DeleteRefsRequest,
) (*gitalypb.DeleteRefsResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	names, err := s.node.namesToDelete(ctx, repo, request)
	if err != nil {
		return nil, err
	}
	part, err := s.node.participate(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.node.deleteRefs(ctx, part, repo, names); err != nil {
		return nil, err
	}

	return &gitalypb.DeleteRefsResponse{}, nil
}

// namesToDelete returns the given references, or all but those with the given beginnings.
func (n *Node) namesToDelete(
	ctx context.Context, repo repository, request *gitalypb.DeleteRefsRequest,
) ([]string, error) {
	given, except := texts(request.GetRefs()), texts(request.GetExceptWithPrefix())
	switch {
	case len(given) > 0 && len(except) > 0:
		return nil, failf(codes.InvalidArgument, "both except_with_prefix and refs are set")
	case len(given) == 0 && len(except) == 0:
		return nil, failf(codes.InvalidArgument, "empty except_with_prefix and refs")
	case slices.Contains(given, "") || slices.Contains(except, ""):
		return nil, failf(codes.InvalidArgument, "empty name or prefix")
	}

	if len(given) > 0 {
		return given, wellFormed(given)
	}

	return n.namesExcept(ctx, repo, except)
}

// wellFormed refuses names that no reference can have.
func wellFormed(names []string) error {
	bad := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return strings.HasPrefix(name, "refs/") && !strings.ContainsAny(name, "\x00\n ~^:?*[\\")
	})
	if len(bad) > 0 {
		return deletionMalformed(bad)
	}

	return nil
}

// namesExcept returns all references but those with the given beginnings.
func (n *Node) namesExcept(
	ctx context.Context, repo repository, except []string,
) ([]string, error) {
	all, err := n.references(ctx, repo.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range all {
		begins := func(prefix string) bool { return strings.HasPrefix(r.name, prefix) }
		if !slices.ContainsFunc(except, begins) {
			names = append(names, r.name)
		}
	}

	return names, nil
}

func texts(list [][]byte) []string {
	var texts []string
	for _, entry := range list {
		texts = append(texts, string(entry))
	}

	return texts
}

func deletionMalformed(names []string) error {
	detail := &gitalypb.InvalidRefFormatError{}
	for _, name := range names {
		detail.Refs = append(detail.Refs, []byte(name))
	}

	return &failure{
		code: codes.InvalidArgument,
		err:  fmt.Errorf("invalid reference format: %q", names),
		detail: &gitalypb.DeleteRefsError{
			Error: &gitalypb.DeleteRefsError_InvalidFormat{InvalidFormat: detail},
		},
	}
}

// deleteRefs deletes references whatever they are. Git would not vote on that, so the node does.
func (n *Node) deleteRefs(
	ctx context.Context, part participation, repo repository, names []string,
) error {
	format, err := n.optional(ctx, repo.path, "rev-parse", "--show-object-format")
	if err != nil {
		return fmt.Errorf("ask for object format: %w", err)
	}
	var updates []git.Update
	for _, name := range names {
		updates = append(updates, git.Update{Reference: name, New: zeroID(format)})
	}

	hash := hooks.DeletedReferences(names)
	if err := part.Vote(ctx, hooks.Preparing, hash); err != nil {
		return failf(codes.Internal, "preparing vote: %w", err)
	}
	updater, err := n.git.NewUpdater(ctx, repo.path)
	if err != nil {
		return err
	}
	if err := updater.Prepare(updates); err != nil {
		return explainDeletion(updates, err)
	}
	if err := part.Vote(ctx, hooks.Prepared, hash); err != nil {
		return errors.Join(failf(codes.Internal, "prepared vote: %w", err), updater.Abort())
	}
	if err := updater.Commit(); err != nil {
		return err
	}
	if err := part.Vote(ctx, hooks.Committed, hash); err != nil {
		return failf(codes.Internal, "committing vote: %w", err)
	}

	return nil
}

// explainDeletion names the references that somebody else holds locked.
func explainDeletion(updates []git.Update, err error) error {
	concerned := concernedBy(updates, err)
	switch {
	case git.Locked(err):
		return &failure{
			code: codes.FailedPrecondition, err: err,
			detail: &gitalypb.DeleteRefsError{
				Error: &gitalypb.DeleteRefsError_ReferencesLocked{
					ReferencesLocked: &gitalypb.ReferencesLockedError{
						Refs: [][]byte{[]byte(concerned.Reference)},
					},
				},
			},
		}
	case git.Malformed(err):
		return deletionMalformed([]string{concerned.Reference})
	default:
		return err
	}
}
