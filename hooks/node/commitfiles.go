package node

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// commitMax bounds the content of all files of one commit.
const commitMax = 256 << 20

// fileAction is one change of a file, with all of its content.
type fileAction struct {
	*gitalypb.UserCommitFilesActionHeader
	content []byte
}

// UserCommitFiles implements gitalypb.OperationServiceServer.
func (s *operationService) UserCommitFiles(
	stream grpc.ClientStreamingServer[
		gitalypb.UserCommitFilesRequest, gitalypb.UserCommitFilesResponse],
) error {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	header := first.GetHeader()
	repo, err := s.node.find(header.GetRepository())
	if err != nil {
		return err
	}
	if err := checkUser(header.GetUser()); err != nil {
		return err
	}
	actions, err := receiveActions(stream)
	if err != nil {
		return err
	}
	update, err := s.node.commitFiles(stream.Context(), repo, header, actions)
	if err != nil {
		return fmt.Errorf("commit files: %w", err)
	}

	return stream.SendAndClose( //nolint:wrapcheck // a status already
		&gitalypb.UserCommitFilesResponse{BranchUpdate: update})
}

func receiveActions(
	stream grpc.ClientStreamingServer[
		gitalypb.UserCommitFilesRequest, gitalypb.UserCommitFilesResponse],
) ([]fileAction, error) {
	var actions []fileAction
	size := 0
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return actions, nil
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // a status already
		}
		action := request.GetAction()
		if header := action.GetHeader(); header != nil {
			actions = append(actions, fileAction{UserCommitFilesActionHeader: header})

			continue
		}
		if len(actions) == 0 {
			return nil, failf(codes.InvalidArgument, "content without an action")
		}
		if size += len(action.GetContent()); size > commitMax {
			return nil, failf(codes.ResourceExhausted, "more than %d bytes", commitMax)
		}
		last := &actions[len(actions)-1]
		last.content = append(last.content, action.GetContent()...)
	}
}

func (n *Node) commitFiles(
	ctx context.Context, repo repository, header *gitalypb.UserCommitFilesRequestHeader,
	actions []fileAction,
) (*gitalypb.OperationBranchUpdate, error) {
	tip, err := n.branchTip(ctx, repo, string(header.GetBranchName()))
	if err != nil {
		return nil, err
	}
	if err := expect(tip, header.GetExpectedOldOid()); err != nil {
		return nil, err
	}
	var parents []string
	switch start := header.GetStartSha(); {
	case start != "":
		parents = []string{start}
	case len(header.GetStartBranchName()) > 0:
		start, err := n.resolve(ctx, repo.path, "refs/heads/"+string(header.GetStartBranchName()))
		if err != nil {
			return nil, err
		}
		parents = []string{start}
	case !isZero(tip):
		parents = []string{tip}
	}
	tree, err := n.editTree(ctx, repo, parents, actions)
	if err != nil {
		return nil, err
	}
	commit, err := n.commitTree(ctx, repo, authorship{
		user: header.GetUser(), at: header.GetTimestamp(), message: header.GetCommitMessage(),
		name: header.GetCommitAuthorName(), email: header.GetCommitAuthorEmail(),
	}, tree, parents...)
	if err != nil {
		return nil, err
	}
	empty, err := n.references(ctx, repo.path, "refs/heads/")
	if err != nil {
		return nil, err
	}
	err = n.apply(ctx, change{repo: repo, user: header.GetUser(), update: git.Update{
		Reference: "refs/heads/" + string(header.GetBranchName()), Old: tip, New: commit,
	}})

	return &gitalypb.OperationBranchUpdate{
		CommitId: commit, BranchCreated: isZero(tip), RepoCreated: len(empty) == 0,
	}, err
}

// editTree applies actions to the tree of a commit, in an index of its own.
func (n *Node) editTree(
	ctx context.Context, repo repository, base []string, actions []fileAction,
) (tree string, err error) {
	dir, err := os.MkdirTemp("", "praefect-index-")
	if err != nil {
		return "", fmt.Errorf("create directory of index: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	i := index{node: n, repo: repo, file: filepath.Join(dir, "index"), work: dir}
	if len(base) > 0 {
		if _, err := i.git(ctx, nil, "read-tree", base[0]); err != nil {
			return "", err
		}
	}
	for _, action := range actions {
		if err := i.apply(ctx, action); err != nil {
			return "", err
		}
	}

	return i.git(ctx, nil, "write-tree")
}

// index is a tree being edited.
type index struct {
	node *Node
	repo repository
	file string
	// work is an empty directory: Git edits no index without a work tree.
	work string
}

func (i index) git(ctx context.Context, input []byte, args ...string) (string, error) {
	output, err := i.node.git.Output(ctx, git.Command{
		Repository: i.repo.path, Args: args, Stdin: bytes.NewReader(input),
		Env: []string{"GIT_INDEX_FILE=" + i.file, "GIT_WORK_TREE=" + i.work},
	})
	if err != nil {
		return "", fmt.Errorf("edit tree: %w", err)
	}

	return strings.TrimSpace(string(output)), nil
}

// entry is a file of the index; its object is empty when there is none.
type entry struct{ mode, object string }

func (i index) find(ctx context.Context, name string) (entry, error) {
	line, err := i.git(ctx, nil, "ls-files", "--stage", "--", ":(literal)"+name)
	if err != nil || line == "" {
		return entry{}, err
	}
	fields := strings.Fields(line)
	if strings.Contains(line, "\n") || len(fields) < 2 {
		return entry{}, failf(codes.FailedPrecondition, "%q is a directory", name)
	}

	return entry{mode: fields[0], object: fields[1]}, nil
}

func (i index) put(ctx context.Context, e entry, name string) error {
	_, err := i.git(ctx, nil, "update-index", "--add", "--cacheinfo", e.mode, e.object, name)

	return err
}

// apply makes one change.
func (i index) apply(ctx context.Context, a fileAction) error {
	name := path.Clean(string(a.GetFilePath()))
	if !filepath.IsLocal(name) || name == "." {
		return failf(codes.InvalidArgument, "invalid path: %q", a.GetFilePath())
	}
	before := name
	if a.GetAction() == gitalypb.UserCommitFilesActionHeader_MOVE {
		before = path.Clean(string(a.GetPreviousPath()))
	}
	found, err := i.find(ctx, before)
	if err != nil {
		return err
	}
	creates := a.GetAction() == gitalypb.UserCommitFilesActionHeader_CREATE ||
		a.GetAction() == gitalypb.UserCommitFilesActionHeader_CREATE_DIR
	switch {
	case creates && found.object != "":
		return failf(codes.AlreadyExists, "a file with this name already exists: %q", name)
	case !creates && found.object == "":
		return failf(codes.NotFound, "a file with this name doesn't exist: %q", before)
	}

	return i.change(ctx, a, before, name, found)
}

func (i index) change(
	ctx context.Context, a fileAction, before, name string, found entry,
) error {
	next := found
	if next.mode == "" {
		next.mode = plainFile
	}
	switch a.GetAction() {
	case gitalypb.UserCommitFilesActionHeader_DELETE:
		return i.drop(ctx, before)
	case gitalypb.UserCommitFilesActionHeader_MOVE:
		if err := i.drop(ctx, before); err != nil {
			return err
		}
		if a.GetInferContent() {
			return i.put(ctx, next, name)
		}
	case gitalypb.UserCommitFilesActionHeader_CHMOD:
		next.mode = modeOf(a, plainFile)

		return i.put(ctx, next, name)
	case gitalypb.UserCommitFilesActionHeader_CREATE_DIR:
		name, a.content = path.Join(name, ".gitkeep"), nil
	case gitalypb.UserCommitFilesActionHeader_CREATE, gitalypb.UserCommitFilesActionHeader_UPDATE:
	}
	next.mode = modeOf(a, next.mode)
	var err error
	if next.object, err = i.store(ctx, a, name); err != nil {
		return err
	}

	return i.put(ctx, next, name)
}

// The modes of files in a tree.
const plainFile, executableFile = "100644", "100755"

// modeOf is the mode that an action asks for, or the usual one.
func modeOf(a fileAction, usual string) string {
	if a.GetExecuteFilemode() {
		return executableFile
	}

	return usual
}

func (i index) drop(ctx context.Context, name string) error {
	_, err := i.git(ctx, nil, "update-index", "--force-remove", "--", name)

	return err
}

// store keeps the content of an action as an object.
func (i index) store(ctx context.Context, a fileAction, name string) (string, error) {
	content := a.content
	if a.GetBase64Content() {
		decoded, err := base64.StdEncoding.DecodeString(string(content))
		if err != nil {
			return "", failf(codes.InvalidArgument, "content of %q: %w", name, err)
		}
		content = decoded
	}

	return i.git(ctx, content, "hash-object", "-w", "--stdin")
}
