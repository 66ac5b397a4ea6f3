package client

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/chaos/history"
)

// prepareTries is how often the creation of a repository that stays is tried; it is done before
// there are any faults.
const prepareTries = 3

var errNotPrepared = errors.New("repository was not prepared")

// prepare creates a repository that stays and pushes the chain.
func (w *worker) prepare(ctx context.Context, repo *repository) error {
	err := errNotPrepared
	for range prepareTries {
		if err = w.create(ctx, repo.path); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}

	commits := w.world.chain.commits
	c := change{path: repo.path, packed: w.world.packed, commands: []command{
		{reference: "refs/heads/store", value: commits[len(commits)-1]},
	}}
	got := w.call(ctx, w.world.WriteDeadline,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			return w.pushHTTP(ctx, conn, c, to)
		})
	if text := got.detail(); text != "" {
		return fmt.Errorf("%w: %s: %s", errNotPrepared, repo.path, text)
	}

	return nil
}

func (w *worker) create(ctx context.Context, path string) error {
	o := history.Operation{
		Key: history.Key{Repository: path, Name: RegisterExists}, Value: Present, Guarded: true,
	}
	got := w.write(ctx, "CreateRepository", []history.Operation{o},
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			_, err := gitalypb.NewRepositoryServiceClient(conn).CreateRepository(ctx,
				&gitalypb.CreateRepositoryRequest{
					Repository: w.world.proto(path), DefaultBranch: []byte("main"),
				}, to.options()...)

			return err
		})

	return got.err
}

func (w *worker) remove(ctx context.Context, path string) error {
	o := history.Operation{Key: history.Key{Repository: path, Name: RegisterExists}}
	got := w.write(ctx, "RemoveRepository", []history.Operation{o},
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			_, err := gitalypb.NewRepositoryServiceClient(conn).RemoveRepository(ctx,
				&gitalypb.RemoveRepositoryRequest{Repository: w.world.proto(path)},
				to.options()...)

			return err
		})

	return got.err
}

// guest is a worker's repository that comes and goes. Nobody else writes to it.
type guest struct {
	path string
	// here tells that it exists, key is that of its references.
	here bool
	key  string
	// moves is how many paths were used, stays how often the repository came at this one.
	moves, stays int
}

// staysMax is how often a repository comes at the same path.
const staysMax = 3

// beGuest creates the worker's own repository, or writes to it, or removes it. When it is not known
// what became of a creation or removal, the next is made elsewhere.
func (w *worker) beGuest(ctx context.Context, _ *repository) bool {
	g := &w.guest
	switch {
	case !g.here:
		return w.comeGuest(ctx)
	case w.chance(40):
		g.here = false
		if err := w.remove(ctx, g.path); err != nil {
			g.path = ""

			return false
		}

		return true
	default:
		return w.pushGuest(ctx)
	}
}

func (w *worker) comeGuest(ctx context.Context) bool {
	g := &w.guest
	if g.path == "" || g.stays == staysMax {
		g.moves++
		g.stays = 0
		g.path = fmt.Sprintf("guest/%d/%d.git", w.number, g.moves)
	}
	g.stays++
	g.key = fmt.Sprintf("%s#%d", g.path, g.stays)
	w.world.appear(Passing{Path: g.path, Key: g.key})
	if err := w.create(ctx, g.path); err != nil {
		g.path = ""

		return false
	}
	g.here = true

	return true
}

// pushGuest pushes a commit with everything that it needs, as the repository has nothing yet.
func (w *worker) pushGuest(ctx context.Context) bool {
	made := commit(w.world.chain.tree, "", w.unique("guest"))
	o := w.intend(history.Key{Repository: w.guest.key, Name: "refs/heads/main"}, made.id(), true)

	return w.push(ctx, w.guest.path, []history.Operation{o},
		append([]object{made}, w.world.chain.objects[:2]...), true)
}

// unique is a text that no worker uses twice.
func (w *worker) unique(text string) string {
	w.made++

	return fmt.Sprintf("%s-%d-%d", text, w.number, w.made)
}

// hooksFile is the custom hook that is set: one that Git does not run.
const hooksFile = "custom_hooks/note"

// setHooks sets or removes the custom hooks.
func (w *worker) setHooks(ctx context.Context, repo *repository) bool {
	o := w.intend(history.Key{Repository: repo.path, Name: RegisterHooks}, w.unique("hooks"), false)
	if w.chance(deletePercent) {
		o.Value = ""
	}
	archive, err := packHooks(o.Value)
	if err != nil {
		return false
	}
	got := w.write(ctx, "SetCustomHooks", []history.Operation{o},
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			stream, err := gitalypb.NewRepositoryServiceClient(conn).
				SetCustomHooks(ctx, to.options()...)
			if err != nil {
				return err
			}
			// Why sending fails is what receiving tells.
			_ = stream.Send(&gitalypb.SetCustomHooksRequest{
				Repository: w.world.proto(repo.path), Data: archive,
			})
			_, err = stream.CloseAndRecv()

			return err
		})

	return got.err == nil
}

// packHooks makes the archive for hooks with a value; nothing for none.
func packHooks(value string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	err := archive.WriteHeader(&tar.Header{
		Name: hooksFile, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(value)),
	})
	if err != nil {
		return nil, fmt.Errorf("pack hooks: %w", err)
	}
	if _, err := io.WriteString(archive, value); err != nil {
		return nil, fmt.Errorf("pack hooks: %w", err)
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack hooks: %w", err)
	}

	return out.Bytes(), nil
}

// unpackHooks returns the value of an archive.
func unpackHooks(content []byte) (string, error) {
	archive := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("unpack hooks: %w", err)
		}
		if header.Name == hooksFile {
			value, err := io.ReadAll(archive)
			if err != nil {
				return "", fmt.Errorf("unpack hooks: %w", err)
			}

			return string(value), nil
		}
	}
}
