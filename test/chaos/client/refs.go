package client

import (
	"context"

	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/chaos/history"
)

func (w *World) proto(path string) *gitalypb.Repository {
	return &gitalypb.Repository{StorageName: w.Storage, RelativePath: path}
}

const (
	guardedPercent = 50
	deletePercent  = 20
)

func (w *worker) writeRef(ctx context.Context, repo *repository) bool {
	value, ok := w.world.nextCommit(repo)

	return ok && w.writeRefTo(ctx, repo, value, w.chance(guardedPercent))
}

func (w *worker) writeRefDeletion(ctx context.Context, repo *repository) bool {
	return w.writeRefTo(ctx, repo, "", false)
}

func (w *worker) writeRefTo(
	ctx context.Context, repo *repository, value string, guarded bool,
) bool {
	o := w.intend(history.Key{Repository: repo.path, Name: w.single()}, value, guarded)
	got := w.write(ctx, "WriteRef", []history.Operation{o},
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			request := &gitalypb.WriteRefRequest{
				Repository: w.world.proto(repo.path),
				Ref:        []byte(o.Key.Name), Revision: []byte(orZero(o.Value)),
			}
			if o.Guarded {
				request.OldRevision = []byte(orZero(o.Old))
			}
			_, err := gitalypb.NewRepositoryServiceClient(conn).
				WriteRef(ctx, request, to.options()...)

			return err
		})

	return got.err == nil
}

// writeHead points HEAD at a branch that does not exist: every one has a name of its own.
func (w *worker) writeHead(ctx context.Context, repo *repository) bool {
	o := w.intend(history.Key{Repository: repo.path, Name: RegisterHead},
		w.unique("refs/heads/unborn"), false)
	got := w.write(ctx, "WriteRef HEAD", []history.Operation{o},
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			_, err := gitalypb.NewRepositoryServiceClient(conn).WriteRef(ctx,
				&gitalypb.WriteRefRequest{
					Repository: w.world.proto(repo.path),
					Ref:        []byte("HEAD"), Revision: []byte(o.Value),
				}, to.options()...)

			return err
		})

	return got.err == nil
}

// updateSingles changes or deletes two references at once.
func (w *worker) updateSingles(ctx context.Context, repo *repository) bool {
	guarded := w.chance(guardedPercent)
	var operations []history.Operation
	for _, name := range w.twoSingles() {
		value := ""
		if !w.chance(deletePercent) {
			var ok bool
			if value, ok = w.world.nextCommit(repo); !ok {
				return false
			}
		}
		operations = append(operations,
			w.intend(history.Key{Repository: repo.path, Name: name}, value, guarded))
	}

	return w.update(ctx, repo, operations)
}

// updateGroup changes all references of the group.
func (w *worker) updateGroup(ctx context.Context, repo *repository) bool {
	guarded := w.chance(guardedPercent)
	var operations []history.Operation
	_, group := References()
	for _, name := range group {
		value, ok := w.world.nextCommit(repo)
		if !ok {
			return false
		}
		operations = append(operations,
			w.intend(history.Key{Repository: repo.path, Name: name}, value, guarded))
	}

	return w.update(ctx, repo, operations)
}

func (w *worker) update(
	ctx context.Context, repo *repository, operations []history.Operation,
) bool {
	request := &gitalypb.UpdateReferencesRequest{Repository: w.world.proto(repo.path)}
	for _, o := range operations {
		update := &gitalypb.UpdateReferencesRequest_Update{
			Reference: []byte(o.Key.Name), NewObjectId: []byte(orZero(o.Value)),
		}
		if o.Guarded {
			update.OldObjectId = []byte(orZero(o.Old))
		}
		request.Updates = append(request.Updates, update)
	}
	got := w.write(ctx, "UpdateReferences", operations,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			stream, err := gitalypb.NewRefServiceClient(conn).
				UpdateReferences(ctx, to.options()...)
			if err != nil {
				return err
			}
			// Why sending fails is what receiving tells.
			_ = stream.Send(request)
			_, err = stream.CloseAndRecv()

			return err
		})

	return got.err == nil
}

func (w *worker) deleteRefs(ctx context.Context, repo *repository) bool {
	names := w.twoSingles()
	if w.chance(guardedPercent) {
		names = names[:1]
	}
	var operations []history.Operation
	request := &gitalypb.DeleteRefsRequest{Repository: w.world.proto(repo.path)}
	for _, name := range names {
		operations = append(operations,
			w.intend(history.Key{Repository: repo.path, Name: name}, "", false))
		request.Refs = append(request.Refs, []byte(name))
	}
	got := w.write(ctx, "DeleteRefs", operations,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			_, err := gitalypb.NewRefServiceClient(conn).DeleteRefs(ctx, request, to.options()...)

			return err
		})

	return got.err == nil
}
