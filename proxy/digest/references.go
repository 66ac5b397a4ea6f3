package digest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
)

// head is how nodes name HEAD among the references.
const head = "HEAD"

// references hashes a line for each reference in the order of their names, then what HEAD is. Names
// contain neither spaces nor line ends.
func (r *replica) references(ctx context.Context) (string, error) {
	client := gitalypb.NewRefServiceClient(r.conn)
	stream, err := client.ListRefs(ctx, &gitalypb.ListRefsRequest{
		Repository: r.message, Patterns: [][]byte{[]byte("refs/")}, Head: true,
		SortBy: &gitalypb.ListRefsRequest_SortBy{
			Key:       gitalypb.ListRefsRequest_SortBy_REFNAME,
			Direction: gitalypb.SortDirection_ASCENDING,
		},
	})
	if err != nil {
		return "", fmt.Errorf("list references: %w", err)
	}
	list := &list{digest: sha256.New()}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = list.add(response.GetReferences())
		}
		if err != nil {
			return "", fmt.Errorf("list references: %w", err)
		}
	}

	answer, err := client.FindDefaultBranchName(ctx, &gitalypb.FindDefaultBranchNameRequest{
		Repository: r.message, HeadOnly: true,
	})
	if status.Code(err) == codes.Internal && list.head != "" && r.detached(ctx, list.head) {
		answer, err = &gitalypb.FindDefaultBranchNameResponse{}, nil
	}
	if err != nil {
		return "", fmt.Errorf("ask for HEAD: %w", err)
	}
	// A detached HEAD has no name, an unborn one leads nowhere.
	line(list.digest, answer.GetName(), list.head)
	return sum(References, list.digest), nil
}

// detached says that HEAD holds an object itself. Nodes cannot tell: asked for the name that HEAD
// points to they fail, as if they were sick. Their snapshot begins with the file.
func (r *replica) detached(ctx context.Context, object string) bool {
	ctx, cancel := context.WithCancel(ctx) // Only the beginning is read.
	defer cancel()
	archive, err := r.snapshot(ctx)
	if err != nil {
		return false
	}
	header, err := archive.Next()
	if err != nil || header.Name != head {
		return false
	}
	content, err := io.ReadAll(io.LimitReader(archive, int64(len(object))+1))

	return err == nil && strings.TrimSpace(string(content)) == object
}

// list hashes references as they come.
type list struct {
	digest hash.Hash
	last   []byte
	// head is the object that HEAD leads to; where in the list it comes is left to the node.
	head string
}

func (l *list) add(references []*gitalypb.ListRefsResponse_Reference) error {
	for _, reference := range references {
		name := reference.GetName()
		if string(name) == head {
			l.head = reference.GetTarget()
			continue
		}
		if bytes.Compare(l.last, name) >= 0 {
			return fmt.Errorf("%w: %q comes after %q", ErrUnordered, name, l.last)
		}
		line(l.digest, name, reference.GetTarget())
		// The message is not kept: its next one may be received into the same memory.
		l.last = append(l.last[:0], name...)
	}
	return nil
}

// line adds a name and an object to a hash, which never fails.
func line(digest hash.Hash, name []byte, object string) {
	text := make([]byte, 0, len(object)+len(name)+2)
	text = append(text, object...)
	text = append(text, ' ')
	text = append(text, name...)
	digest.Write(append(text, '\n'))
}
