package node

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/proxy/gitalypb"
)

// customHooksMax bounds the custom hooks of a repository.
const customHooksMax = 64 << 20

// SetCustomHooks implements gitalypb.RepositoryServiceServer. The data is a tar archive with a
// directory custom_hooks; without data there are no custom hooks afterwards.
func (s *repositoryService) SetCustomHooks(
	stream grpc.ClientStreamingServer[
		gitalypb.SetCustomHooksRequest, gitalypb.SetCustomHooksResponse],
) error {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	repo, err := s.node.find(first.GetRepository())
	if err != nil {
		return err
	}
	part, err := s.node.participate(stream.Context())
	if err != nil {
		return err
	}

	archive := &streamReader{rest: first.GetData(), receive: func() ([]byte, error) {
		message, err := stream.Recv()

		return message.GetData(), err
	}}
	if err := s.node.setCustomHooks(stream.Context(), part, repo.path, archive); err != nil {
		return fmt.Errorf("set custom hooks: %w", err)
	}

	return stream.SendAndClose(&gitalypb.SetCustomHooksResponse{}) //nolint:wrapcheck // a status
}

// GetCustomHooks implements gitalypb.RepositoryServiceServer. Without custom hooks nothing is sent.
func (s *repositoryService) GetCustomHooks(
	request *gitalypb.GetCustomHooksRequest,
	stream grpc.ServerStreamingServer[gitalypb.GetCustomHooksResponse],
) error {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return err
	}

	return packCustomHooks(repo.path, streamWriter(func(data []byte) error {
		return stream.Send(&gitalypb.GetCustomHooksResponse{Data: data})
	}))
}

// setCustomHooks replaces the custom hooks of a repository, with the votes for it.
func (n *Node) setCustomHooks(
	ctx context.Context, part participation, repository string, archive io.Reader,
) (err error) {
	if err := part.Vote(ctx, hooks.Preparing, hooks.SettingCustomHooks()); err != nil {
		return failf(refusalCode(err), "casting preparatory vote: vote failed: %w", err)
	}

	stage, remove, err := n.disk.Stage()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	fresh := filepath.Join(stage, hooks.CustomHooksDir)
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return fmt.Errorf("create directory of custom hooks: %w", err)
	}
	if err := unpackCustomHooks(stage, archive); err != nil {
		return err
	}
	if err := n.disk.SyncTree(fresh); err != nil {
		return err
	}

	file, err := n.disk.LockFile(filepath.Join(repository, hooks.CustomHooksDir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Abort()) }()
	place := filepath.Join(repository, hooks.CustomHooksDir)
	if err := voteOnHooks(ctx, part, hooks.Prepared, fresh); err != nil {
		return err
	}
	if err := n.disk.Replace(fresh, place); err != nil {
		return err
	}

	return voteOnHooks(ctx, part, hooks.Committed, place)
}

func voteOnHooks(
	ctx context.Context, part participation, phase hooks.Phase, dir string,
) error {
	hash, err := hooks.CustomHooks(dir)
	if err != nil {
		return err
	}
	if err := part.Vote(ctx, phase, hash); err != nil {
		return failf(refusalCode(err), "casting %s vote: vote failed: %w", phase, err)
	}

	return nil
}

// unpackCustomHooks extracts the files and directories of an archive below custom_hooks. Anything
// else in it is refused: a link could lead out of the repository.
func unpackCustomHooks(dir string, archive io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open directory of custom hooks: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing is buffered

	limited := &io.LimitedReader{R: archive, N: customHooksMax}
	reader := tar.NewReader(limited)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return drainArchive(limited)
		}
		if err != nil {
			return failf(codes.InvalidArgument, "read archive: %w", err)
		}
		if err := unpackEntry(root, header, reader); err != nil {
			return err
		}
	}
}

// drainArchive reads what follows the last entry, so that the sender can send it.
func drainArchive(limited *io.LimitedReader) error {
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	if limited.N <= 0 {
		return failf(codes.InvalidArgument, "custom hooks are larger than %d bytes", customHooksMax)
	}

	return nil
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.Clean(filepath.FromSlash(header.Name))
	inside, err := filepath.Rel(hooks.CustomHooksDir, name)
	if err != nil || !filepath.IsLocal(inside) {
		return failf(codes.InvalidArgument, "entry of archive outside of custom_hooks: %q", name)
	}

	mode := header.FileInfo().Mode().Perm()
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return fmt.Errorf("create directory of custom hooks: %w", err)
		}
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("create directory of custom hooks: %w", err)
		}
		if err := writeEntry(root, name, content); err != nil {
			return err
		}
	default:
		return failf(codes.InvalidArgument, "archive has an entry that is no file: %q", name)
	}
	// Set after the creation, the mode does not depend on the umask, and the ballot covers it.
	if err := root.Chmod(name, mode); err != nil {
		return fmt.Errorf("set mode of custom hook: %w", err)
	}

	return nil
}

func writeEntry(root *os.Root, name string, content io.Reader) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create custom hook: %w", err)
	}
	if _, err := io.Copy(file, content); err != nil {
		return errors.Join(fmt.Errorf("write custom hook: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close custom hook: %w", err)
	}

	return nil
}

// packCustomHooks writes the custom hooks of a repository as an archive.
func packCustomHooks(repository string, sink io.Writer) error {
	dir := filepath.Join(repository, hooks.CustomHooksDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	writer := tar.NewWriter(sink)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		return packEntry(writer, repository, path, entry)
	})
	if err != nil {
		return fmt.Errorf("pack custom hooks: %w", err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("end archive: %w", err)
	}

	return nil
}

func packEntry(writer *tar.Writer, repository, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("look at entry: %w", err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil // What an administrator has linked is no part of the repository.
	}
	name, err := filepath.Rel(repository, path)
	if err != nil {
		return fmt.Errorf("name entry: %w", err)
	}
	// No times and owners: the same hooks are the same bytes on every node.
	header := &tar.Header{
		Name: filepath.ToSlash(name), Typeflag: tar.TypeReg,
		Mode: int64(info.Mode().Perm()), Size: info.Size(),
	}
	if info.IsDir() {
		header.Name, header.Typeflag, header.Size = header.Name+"/", tar.TypeDir, 0
	}
	if err := writer.WriteHeader(header); err != nil {
		return fmt.Errorf("write entry: %w", err)
	}
	if info.IsDir() {
		return nil
	}

	return packContent(writer, path)
}

func packContent(writer io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open entry: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only

	if _, err := io.Copy(writer, file); err != nil {
		return fmt.Errorf("write entry: %w", err)
	}

	return nil
}
