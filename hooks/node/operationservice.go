package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// operationService makes changes that users ask the application for.
type operationService struct {
	gitalypb.UnimplementedOperationServiceServer

	node *Node
}

func checkUser(user *gitalypb.User) error {
	if user.GetGlId() == "" || len(user.GetName()) == 0 || len(user.GetEmail()) == 0 {
		return failf(codes.InvalidArgument, "user lacks gl_id, name or email")
	}

	return nil
}

// UserCreateBranch implements gitalypb.OperationServiceServer.
func (s *operationService) UserCreateBranch(
	ctx context.Context, request *gitalypb.UserCreateBranchRequest,
) (*gitalypb.UserCreateBranchResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	if err := checkUser(request.GetUser()); err != nil {
		return nil, err
	}
	branch := string(request.GetBranchName())
	tip, err := s.node.branchTip(ctx, repo, branch)
	if err != nil {
		return nil, err
	}
	if !isZero(tip) {
		return nil, failf(codes.FailedPrecondition, "branch %q exists already", branch)
	}
	start, err := s.node.resolve(ctx, repo.path, string(request.GetStartPoint())+"^{commit}")
	if err != nil {
		return nil, failf(codes.FailedPrecondition, "start point: %w", err)
	}
	err = s.node.apply(ctx, change{repo: repo, user: request.GetUser(), update: git.Update{
		Reference: "refs/heads/" + branch, Old: tip, New: start,
	}})
	if err != nil {
		return nil, fmt.Errorf("create branch: %w", err)
	}

	return &gitalypb.UserCreateBranchResponse{Branch: &gitalypb.Branch{
		Name: request.GetBranchName(), TargetCommit: &gitalypb.GitCommit{Id: start},
	}}, nil
}

// UserDeleteBranch implements gitalypb.OperationServiceServer.
func (s *operationService) UserDeleteBranch(
	ctx context.Context, request *gitalypb.UserDeleteBranchRequest,
) (*gitalypb.UserDeleteBranchResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	if err := checkUser(request.GetUser()); err != nil {
		return nil, err
	}
	branch := string(request.GetBranchName())
	tip, err := s.node.branchTip(ctx, repo, branch)
	if err != nil {
		return nil, err
	}
	if isZero(tip) {
		return nil, failf(codes.FailedPrecondition, "branch not found: %q", branch)
	}
	if err := expect(tip, request.GetExpectedOldOid()); err != nil {
		return nil, err
	}
	err = s.node.apply(ctx, change{repo: repo, user: request.GetUser(), update: git.Update{
		Reference: "refs/heads/" + branch, Old: tip, New: strings.Repeat("0", len(tip)),
	}})
	if err != nil {
		return nil, fmt.Errorf("delete branch: %w", err)
	}

	return &gitalypb.UserDeleteBranchResponse{}, nil
}

// expect compares what a branch holds with what a caller believes, if he says so.
func expect(tip, expected string) error {
	if expected != "" && expected != tip {
		return failf(codes.FailedPrecondition, "branch is at %s, not at %s", tip, expected)
	}

	return nil
}

// UserMergeBranch implements gitalypb.OperationServiceServer. The commit is made and told first;
// the branch moves when the caller agrees.
func (s *operationService) UserMergeBranch(
	stream grpc.BidiStreamingServer[
		gitalypb.UserMergeBranchRequest, gitalypb.UserMergeBranchResponse],
) error {
	ctx := stream.Context()
	request, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return err
	}
	if err := checkUser(request.GetUser()); err != nil {
		return err
	}
	commit, tip, err := s.node.merge(ctx, repo, request)
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if err := stream.Send(&gitalypb.UserMergeBranchResponse{CommitId: commit}); err != nil {
		return err //nolint:wrapcheck // a status already
	}
	second, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err //nolint:wrapcheck // a status already
	}
	if !second.GetApply() {
		return failf(codes.FailedPrecondition, "merge aborted by client")
	}
	err = s.node.apply(ctx, change{repo: repo, user: request.GetUser(), update: git.Update{
		Reference: "refs/heads/" + string(request.GetBranch()), Old: tip, New: commit,
	}})
	if err != nil {
		return fmt.Errorf("move branch: %w", err)
	}

	return stream.Send(&gitalypb.UserMergeBranchResponse{ //nolint:wrapcheck // a status already
		BranchUpdate: &gitalypb.OperationBranchUpdate{CommitId: commit},
	})
}

// merge makes the commit of a merge and returns it and what the branch holds before.
func (n *Node) merge(
	ctx context.Context, repo repository, request *gitalypb.UserMergeBranchRequest,
) (commit, tip string, err error) {
	if tip, err = n.branchTip(ctx, repo, string(request.GetBranch())); err != nil {
		return "", "", err
	}
	if isZero(tip) {
		return "", "", failf(codes.NotFound, "branch not found: %q", request.GetBranch())
	}
	if err := expect(tip, request.GetExpectedOldOid()); err != nil {
		return "", "", err
	}
	theirs, err := n.resolve(ctx, repo.path, request.GetCommitId()+"^{commit}")
	if err != nil {
		return "", "", err
	}
	output, err := n.git.Output(ctx, git.Command{
		Repository: repo.path, Args: []string{"merge-tree", "--write-tree", tip, theirs},
	})
	if failed, ok := errors.AsType[*git.Error](err); ok && failed.Code == 1 {
		return "", "", failf(codes.FailedPrecondition, "branches cannot be merged: conflicts")
	}
	if err != nil {
		return "", "", fmt.Errorf("merge trees: %w", err)
	}
	parents := []string{tip, theirs}
	if request.GetSquash() {
		parents = parents[:1]
	}
	commit, err = n.commitTree(ctx, repo, authorship{
		user: request.GetUser(), at: request.GetTimestamp(), message: request.GetMessage(),
	}, strings.TrimSpace(string(output)), parents...)

	return commit, tip, err
}

// authorship is what a commit says besides its content. Without a time it is now.
type authorship struct {
	user    *gitalypb.User
	at      *timestamppb.Timestamp
	message []byte
	// name and email are those of the author, if not the user's.
	name, email []byte
}

// commitTree makes a commit.
func (n *Node) commitTree(
	ctx context.Context, repo repository, by authorship, tree string, parents ...string,
) (string, error) {
	at := time.Now()
	if by.at != nil {
		at = by.at.AsTime()
	}
	date := fmt.Sprintf("%d +0000", at.Unix())
	if zone, err := time.LoadLocation(by.user.GetTimezone()); err == nil {
		date = fmt.Sprintf("%d %s", at.Unix(), at.In(zone).Format("-0700"))
	}
	name, email := by.name, by.email
	if len(name) == 0 {
		name, email = by.user.GetName(), by.user.GetEmail()
	}
	args := []string{"commit-tree", tree}
	for _, parent := range parents {
		args = append(args, "-p", parent)
	}
	output, err := n.git.Output(ctx, git.Command{
		Repository: repo.path, Args: args, Stdin: bytes.NewReader(by.message),
		Env: []string{
			"GIT_AUTHOR_NAME=" + string(name), "GIT_AUTHOR_EMAIL=" + string(email),
			"GIT_COMMITTER_NAME=" + string(by.user.GetName()),
			"GIT_COMMITTER_EMAIL=" + string(by.user.GetEmail()),
			"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date,
		},
	})
	if err != nil {
		return "", fmt.Errorf("make commit: %w", err)
	}

	return strings.TrimSpace(string(output)), nil
}
