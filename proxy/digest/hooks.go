package digest

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
)

// hooksMax bounds the entries of an archive of custom hooks, because they have to be sorted. That
// is more than anybody wants to run at a push.
const hooksMax = 100_000

// hooks hashes the custom hooks, each entry in the order of the names. The directory that they are
// in does not count: an empty one and none are the same, and its mode means nothing.
func (r *replica) hooks(ctx context.Context) (string, error) {
	stream, err := gitalypb.NewRepositoryServiceClient(r.conn).GetCustomHooks(ctx,
		&gitalypb.GetCustomHooksRequest{Repository: r.message})
	if err != nil {
		return "", fmt.Errorf("get custom hooks: %w", err)
	}
	entries, err := unpack(&reader[gitalypb.GetCustomHooksResponse]{
		stream: stream,
		data:   func(m *gitalypb.GetCustomHooksResponse) []byte { return m.GetData() },
	})
	if err != nil {
		return "", fmt.Errorf("get custom hooks: %w", err)
	}

	digest := sha256.New()
	for _, entry := range entries {
		// Lengths keep names and targets of links apart, which may contain anything.
		digest.Write(fmt.Appendf(nil, "%d %s %d %s %c %o %x\n", len(entry.name), entry.name,
			len(entry.target), entry.target, entry.kind, entry.mode, entry.content))
	}
	return sum(Hooks, digest), nil
}

// entry is what counts of a file, directory or link in an archive.
type entry struct {
	name    string
	kind    byte
	mode    int64
	target  string
	content []byte
}

// permissions are the bits of a mode that mean something on every node.
const permissions = 0o777

// unpack reads an archive to its end and returns its entries, sorted by name, without the directory
// that they are in.
func unpack(archive io.Reader) ([]entry, error) {
	var entries []entry
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		found, err := look(header, reader)
		if err != nil {
			return nil, err
		}
		if found.kind == tar.TypeDir && path.Dir(found.name) == "." {
			continue
		}
		if entries = append(entries, found); len(entries) > hooksMax {
			return nil, fmt.Errorf("%w: more than %d custom hooks", ErrTooLarge, hooksMax)
		}
	}
	// What follows the last entry is read as well, so that an error of the node is seen.
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return entries, resolve(entries)
}

func look(header *tar.Header, content io.Reader) (entry, error) {
	digest := sha256.New()
	if _, err := io.Copy(digest, content); err != nil {
		return entry{}, fmt.Errorf("read %q: %w", header.Name, err)
	}
	return entry{
		name: path.Clean(header.Name), kind: header.Typeflag,
		mode: header.Mode & permissions, target: header.Linkname, content: digest.Sum(nil),
	}, nil
}

// resolve turns hard links into the files that they are. Which of several names of a file holds its
// content in an archive depends on the order in which a node lists its directory.
func resolve(entries []entry) error {
	for i, link := range entries {
		if link.kind != tar.TypeLink {
			continue
		}
		at, ok := slices.BinarySearchFunc(entries, path.Clean(link.target),
			func(e entry, name string) int { return cmp.Compare(e.name, name) })
		if !ok || entries[at].kind != tar.TypeReg {
			return fmt.Errorf("read archive: %w: %q links to %q",
				tar.ErrHeader, link.name, link.target)
		}
		entries[i].kind, entries[i].target = tar.TypeReg, ""
		entries[i].content = entries[at].content
	}
	return nil
}

// reader makes the data of a stream's messages readable.
type reader[M any] struct {
	stream grpc.ServerStreamingClient[M]
	data   func(*M) []byte
	rest   []byte
}

// Read implements io.Reader. It returns [io.EOF] when the node has sent everything and said so.
func (r *reader[M]) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		message, err := r.stream.Recv()
		if err != nil {
			return 0, err //nolint:wrapcheck // io.EOF must stay what it is
		}
		r.rest = r.data(message)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
