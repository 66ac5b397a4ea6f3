package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// FetchRemote implements gitalypb.RepositoryServiceServer. What remotes are reached with (keys,
// headers, addresses) is not supported, and is refused rather than ignored.
func (s *repositoryService) FetchRemote(
	ctx context.Context, request *gitalypb.FetchRemoteRequest,
) (*gitalypb.FetchRemoteResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	args, err := fetchArgs(request)
	if err != nil {
		return nil, err
	}
	if limit := request.GetTimeout(); limit > 0 {
		bounded, cancel := context.WithTimeout(ctx, time.Duration(limit)*time.Second)
		defer cancel()
		ctx = bounded
	}
	if err := s.node.fetchWithHooks(ctx, repo, args); err != nil {
		return nil, fmt.Errorf("fetch remote: %w", err)
	}

	return &gitalypb.FetchRemoteResponse{TagsChanged: true, RepoChanged: true}, nil
}

// fetchArgs translates a request into options and refspecs.
func fetchArgs(request *gitalypb.FetchRemoteRequest) ([]string, error) {
	remote := request.GetRemoteParams()
	secrets := request.GetSshKey() + request.GetKnownHosts() +
		remote.GetHttpAuthorizationHeader() + remote.GetResolvedAddress()
	switch {
	case remote.GetUrl() == "":
		return nil, failf(codes.InvalidArgument, "blank or empty remote URL")
	case secrets != "":
		return nil, failf(codes.Unimplemented, "remotes with credentials are not supported")
	}
	args := []string{"--no-tags"}
	if !request.GetNoTags() {
		args = []string{"--tags"}
	}
	if !request.GetNoPrune() {
		args = append(args, "--prune")
	}
	if request.GetForce() {
		args = append(args, "--force")
	}
	const everything = "+refs/*:refs/*"
	args = append(args, "--", remote.GetUrl())
	for _, refspec := range remote.GetMirrorRefmaps() {
		if refspec == "all_refs" {
			refspec = everything
		}
		args = append(args, refspec)
	}
	if len(remote.GetMirrorRefmaps()) == 0 {
		args = append(args, everything)
	}

	return args, nil
}

// fetchWithHooks lets Git fetch, all references in one transaction, on which its hook votes.
func (n *Node) fetchWithHooks(ctx context.Context, repo repository, args []string) error {
	part, err := n.participate(ctx)
	if err != nil {
		return err
	}
	operation, err := n.operate(ctx, repo, part, hooks.Pusher{})
	if err != nil {
		return err
	}
	defer operation.end()

	// Git is not cancelled: it may hold locks. Its hooks are, and it gives up by itself.
	return operation.explain(n.git.Run(context.WithoutCancel(ctx), operation.command(git.Command{
		Repository: repo.path,
		Config:     []string{"fetch.fsckObjects=true"},
		Args: append([]string{
			"fetch", "--quiet", "--atomic", "--no-write-fetch-head",
		}, args...),
	})))
}

// keep writes what a stream brings into a file, which the caller removes.
func keep(content io.Reader) (path string, remove func() error, err error) {
	dir, err := os.MkdirTemp("", "praefect-bundle-")
	if err != nil {
		return "", nil, fmt.Errorf("create directory: %w", err)
	}
	remove = func() error { return os.RemoveAll(dir) }
	path = filepath.Join(dir, "bundle")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("keep bundle: %w", err), remove())
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", nil, errors.Join(fmt.Errorf("keep bundle: %w", err), remove())
	}

	return path, remove, nil
}

// FetchBundle implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) FetchBundle(
	stream grpc.ClientStreamingServer[gitalypb.FetchBundleRequest, gitalypb.FetchBundleResponse],
) (err error) {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	repo, err := s.node.find(first.GetRepository())
	if err != nil {
		return err
	}
	if first.GetUpdateHead() {
		return failf(codes.Unimplemented, "update_head is not supported")
	}
	path, remove, err := keep(&streamReader{
		rest: first.GetData(), receive: func() ([]byte, error) {
			message, err := stream.Recv()

			return message.GetData(), err
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	args := []string{"--prune", "--no-tags", path, "+refs/*:refs/*"}
	if err := s.node.fetchWithHooks(stream.Context(), repo, args); err != nil {
		return fmt.Errorf("fetch bundle: %w", err)
	}

	return stream.SendAndClose(&gitalypb.FetchBundleResponse{}) //nolint:wrapcheck // a status
}

// CreateRepositoryFromBundle implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) CreateRepositoryFromBundle(
	stream grpc.ClientStreamingServer[
		gitalypb.CreateRepositoryFromBundleRequest, gitalypb.CreateRepositoryFromBundleResponse],
) (err error) {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	repo, err := s.node.locate(first.GetRepository())
	if err != nil {
		return err
	}
	path, remove, err := keep(&streamReader{
		rest: first.GetData(), receive: func() ([]byte, error) {
			message, err := stream.Recv()

			return message.GetData(), err
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	ctx := stream.Context()
	err = s.node.create(ctx, repo, creation{seed: func(ctx context.Context, dir string) error {
		return s.node.unbundle(ctx, dir, path)
	}})
	if err != nil {
		return fmt.Errorf("create repository from bundle: %w", err)
	}

	return stream.SendAndClose( //nolint:wrapcheck // a status
		&gitalypb.CreateRepositoryFromBundleResponse{})
}

// unbundle fills a new repository from a bundle. A bundle does not say where HEAD points, only what
// it holds: it is the usual branch with that, or the first one.
func (n *Node) unbundle(ctx context.Context, dir, path string) error {
	err := n.git.Run(ctx, git.Command{Repository: dir, Args: []string{
		"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", path, "+refs/*:refs/*",
	}})
	if err != nil {
		return fmt.Errorf("fetch bundle: %w", err)
	}
	branches, err := n.references(ctx, dir, "refs/heads/")
	if err != nil || len(branches) == 0 {
		return err
	}
	names := make([]string, 0, len(branches))
	for _, branch := range branches {
		names = append(names, branch.name)
	}
	head := names[0]
	for _, usual := range []string{"refs/heads/master", "refs/heads/main"} {
		if slices.Contains(names, usual) {
			head = usual
		}
	}

	return n.git.Run(ctx, git.Command{
		Repository: dir, Args: []string{"symbolic-ref", "HEAD", head},
	})
}

// FetchIntoObjectPool implements gitalypb.ObjectPoolServiceServer: the votes on what is pruned,
// which is nothing here, then those of the fetch.
func (s *objectPoolService) FetchIntoObjectPool(
	ctx context.Context, request *gitalypb.FetchIntoObjectPoolRequest,
) (*gitalypb.FetchIntoObjectPoolResponse, error) {
	origin, err := s.node.find(request.GetOrigin())
	if err != nil {
		return nil, fmt.Errorf("find origin: %w", err)
	}
	pool, err := s.node.find(request.GetObjectPool().GetRepository())
	if err != nil {
		return nil, fmt.Errorf("find pool: %w", err)
	}
	part, err := s.node.participate(ctx)
	if err != nil {
		return nil, err
	}
	nothing := hooks.SumText("")
	for _, phase := range []hooks.Phase{hooks.Preparing, hooks.Prepared, hooks.Committed} {
		if err := part.Vote(ctx, phase, nothing); err != nil {
			return nil, failf(refusalCode(err), "vote on pruned references: %w", err)
		}
	}
	err = s.node.fetchWithHooks(ctx, pool,
		[]string{"--no-tags", origin.path, "+refs/*:refs/remotes/origin/*"})
	if err != nil {
		return nil, fmt.Errorf("fetch into pool: %w", err)
	}

	return &gitalypb.FetchIntoObjectPoolResponse{}, nil
}
