package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/chaos/history"
)

func (w *worker) listRefs(ctx context.Context, repo *repository) bool {
	return w.list(ctx, repo.path, false) == nil
}

func (w *worker) listRefsOfPrimary(ctx context.Context, repo *repository) bool {
	return w.list(ctx, repo.path, true) == nil
}

// list reads all references of a repository that stays.
func (w *worker) list(ctx context.Context, path string, primary bool) error {
	return w.read(ctx, "ListRefs", primary, w.listing(path, "refs/heads/"))
}

// listSome reads those that match patterns, from any replica.
func (w *worker) listSome(ctx context.Context, path string, patterns ...string) error {
	return w.read(ctx, "ListRefs", false, w.listing(path, patterns...))
}

// listing is a call that lists references.
func (w *worker) listing(path string, patterns ...string) look {
	request := &gitalypb.ListRefsRequest{Repository: w.world.proto(path)}
	for _, pattern := range patterns {
		request.Patterns = append(request.Patterns, []byte(pattern))
	}

	return func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) (
		[]history.Operation, error,
	) {
		stream, err := gitalypb.NewRefServiceClient(conn).ListRefs(ctx, request, to.options()...)
		if err != nil {
			return nil, err
		}
		values := map[string]string{}
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return lookAt(path, values, patterns), nil
			}
			if err != nil {
				return nil, err
			}
			for _, r := range message.GetReferences() {
				values[string(r.GetName())] = r.GetTarget()
			}
		}
	}
}

// lookAt makes reads of all references that begin as the patterns do, the missing ones included.
func lookAt(key string, values map[string]string, patterns []string) []history.Operation {
	single, group := References()
	var seen []history.Operation
	for _, name := range append(single, group...) {
		if slices.ContainsFunc(patterns, func(pattern string) bool {
			return strings.HasPrefix(name, strings.TrimSuffix(pattern, "*"))
		}) {
			seen = append(seen, history.Operation{
				Key: history.Key{Repository: key, Name: name}, Value: values[name],
			})
		}
	}

	return seen
}

func (w *worker) findCommit(ctx context.Context, repo *repository) bool {
	name := w.single()
	err := w.read(ctx, "FindCommit", w.chance(50),
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) (
			[]history.Operation, error,
		) {
			found, err := gitalypb.NewCommitServiceClient(conn).FindCommit(ctx,
				&gitalypb.FindCommitRequest{
					Repository: w.world.proto(repo.path), Revision: []byte(name),
				}, to.options()...)

			return []history.Operation{{
				Key:   history.Key{Repository: repo.path, Name: name},
				Value: found.GetCommit().GetId(),
			}}, err
		})

	return err == nil
}

func (w *worker) readHead(ctx context.Context, repo *repository) bool {
	return w.head(ctx, repo.path, w.chance(50)) == nil
}

func (w *worker) head(ctx context.Context, path string, primary bool) error {
	return w.read(ctx, "FindDefaultBranchName", primary,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) (
			[]history.Operation, error,
		) {
			found, err := gitalypb.NewRefServiceClient(conn).FindDefaultBranchName(ctx,
				&gitalypb.FindDefaultBranchNameRequest{
					Repository: w.world.proto(path), HeadOnly: true,
				}, to.options()...)

			return []history.Operation{{
				Key:   history.Key{Repository: path, Name: RegisterHead},
				Value: HeadValue(string(found.GetName())),
			}}, err
		})
}

// HeadValue is the value of the register for what HEAD points to; it is empty as long as that is
// what HEAD was made with.
func HeadValue(target string) string {
	if target == "refs/heads/main" {
		return ""
	}

	return target
}

func (w *worker) readHooks(ctx context.Context, repo *repository) bool {
	return w.hooks(ctx, repo.path, w.chance(50)) == nil
}

func (w *worker) hooks(ctx context.Context, path string, primary bool) error {
	return w.read(ctx, "GetCustomHooks", primary,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) (
			[]history.Operation, error,
		) {
			stream, err := gitalypb.NewRepositoryServiceClient(conn).GetCustomHooks(ctx,
				&gitalypb.GetCustomHooksRequest{Repository: w.world.proto(path)},
				to.options()...)
			if err != nil {
				return nil, err
			}
			var archive []byte
			for {
				message, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return nil, err
				}
				archive = append(archive, message.GetData()...)
			}
			value, err := unpackHooks(archive)

			return []history.Operation{{
				Key: history.Key{Repository: path, Name: RegisterHooks}, Value: value,
			}}, err
		})
}

func (w *worker) exists(ctx context.Context, _ *repository) bool {
	passing, ok := w.world.anyPassing(w.random)

	return !ok || w.existence(ctx, passing.Path) == nil
}

func (w *worker) existence(ctx context.Context, path string) error {
	return w.read(ctx, "RepositoryExists", false,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) (
			[]history.Operation, error,
		) {
			found, err := gitalypb.NewRepositoryServiceClient(conn).RepositoryExists(ctx,
				&gitalypb.RepositoryExistsRequest{Repository: w.world.proto(path)},
				to.options()...)
			value := ""
			if found.GetExists() {
				value = Present
			}

			return []history.Operation{{
				Key: history.Key{Repository: path, Name: RegisterExists}, Value: value,
			}}, err
		})
}
