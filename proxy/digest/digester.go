package digest

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
)

// Absent is the digest of a repository that is not there, of whatever kind. No other digest has
// this value.
const Absent = "absent"

// Kind says what of a repository is compared.
type Kind string

// The kinds of digests.
const (
	References   Kind = "references"
	Hooks        Kind = "hooks"
	Link         Kind = "link"
	Config       Kind = "config"
	Verification Kind = "verification"
	// Locks are the lock files of references. What a replica holds has no part in it.
	Locks Kind = "locks"
)

// Nodes is where the connections to nodes come from.
type Nodes interface {
	// Conn returns the connection to a node; false when there is no such node.
	Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool)
}

// Question names one replica and what is asked of it.
type Question struct {
	VirtualStorage string
	Storage        string
	// Path is the one on disk.
	Path string
	Kind Kind
}

// Digester asks nodes for digests.
type Digester struct {
	nodes Nodes
}

// New returns a digester that asks the given nodes.
func New(nodes Nodes) *Digester { return &Digester{nodes: nodes} }

// Digest returns the digest of a replica: a line of readable text, the same wherever the same is
// held, or [Absent]. It returns [ErrUnknownNode], [ErrUnknownKind], [ErrUnordered], [ErrTooLarge],
// or the node's status.
func (d *Digester) Digest(ctx context.Context, question Question) (string, error) {
	parts := []part{}
	switch question.Kind {
	case References:
		parts = append(parts, (*replica).references)
	case Hooks:
		parts = append(parts, (*replica).hooks)
	case Link:
		parts = append(parts, (*replica).link)
	case Config:
		parts = append(parts, (*replica).config)
	case Locks:
		parts = append(parts, (*replica).locks)
	case Verification:
		parts = append(parts, (*replica).references, (*replica).hooks, (*replica).link)
	default:
		return "", fmt.Errorf("digest of %q: %w", question.Kind, ErrUnknownKind)
	}
	conn, ok := d.nodes.Conn(question.VirtualStorage, question.Storage)
	if !ok {
		return "", fmt.Errorf("ask %q: %w", question.Storage, ErrUnknownNode)
	}
	asked := &replica{conn: conn, message: &gitalypb.Repository{
		StorageName: question.Storage, RelativePath: question.Path,
	}}
	digest, err := asked.digest(ctx, parts)
	if err != nil {
		return "", fmt.Errorf("ask %q: %w", question.Storage, err)
	}
	return digest, nil
}

// replica is one that is being asked about.
type replica struct {
	conn    grpc.ClientConnInterface
	message *gitalypb.Repository
}

// part is one component of a digest.
type part func(*replica, context.Context) (string, error)

func (r *replica) digest(ctx context.Context, parts []part) (string, error) {
	// Whoever gives up early, because of an error or of what was sent, ends the node's work too.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	texts := make([]string, 0, len(parts))
	for _, part := range parts {
		text, err := part(r, ctx)
		switch {
		case status.Code(err) == codes.NotFound && len(texts) == 0:
			return r.absent(ctx, err)
		case err != nil:
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " "), nil
}

// absent makes sure that what a node has not found is the repository.
func (r *replica) absent(ctx context.Context, notFound error) (string, error) {
	answer, err := gitalypb.NewRepositoryServiceClient(r.conn).RepositoryExists(ctx,
		&gitalypb.RepositoryExistsRequest{Repository: r.message})
	switch {
	case err != nil:
		return "", fmt.Errorf("look for repository: %w", err)
	case answer.GetExists():
		return "", fmt.Errorf("%w: %w", errInconsistent, notFound)
	default:
		return Absent, nil
	}
}

// sum is how a hash appears in a digest.
func sum(kind Kind, digest hash.Hash) string {
	return string(kind) + ":" + hex.EncodeToString(digest.Sum(nil))
}
