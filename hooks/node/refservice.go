package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// refService reads and changes references.
type refService struct {
	gitalypb.UnimplementedRefServiceServer

	node *Node
}

// RefExists implements gitalypb.RefServiceServer.
func (s *refService) RefExists(
	ctx context.Context, request *gitalypb.RefExistsRequest,
) (*gitalypb.RefExistsResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	name := string(request.GetRef())
	if !strings.HasPrefix(name, "refs/") {
		return nil, failf(codes.InvalidArgument, "invalid refname: %q", name)
	}

	object, err := s.node.optional(ctx, repo.path, "rev-parse", "--quiet", "--verify", name)
	if err != nil {
		return nil, fmt.Errorf("look for reference: %w", err)
	}

	return &gitalypb.RefExistsResponse{Value: object != ""}, nil
}

// FindDefaultBranchName implements gitalypb.RefServiceServer.
func (s *refService) FindDefaultBranchName(
	ctx context.Context, request *gitalypb.FindDefaultBranchNameRequest,
) (*gitalypb.FindDefaultBranchNameResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	head, err := s.node.head(ctx, repo.path)
	if err != nil {
		return nil, err
	}
	if request.GetHeadOnly() {
		return &gitalypb.FindDefaultBranchNameResponse{Name: []byte(head.target)}, nil
	}

	branches, err := s.node.references(ctx, repo.path, "refs/heads/")
	if err != nil {
		return nil, err
	}

	return &gitalypb.FindDefaultBranchNameResponse{
		Name: []byte(defaultBranch(head.target, branches)),
	}, nil
}

// defaultBranch chooses among the branches that exist: the one that HEAD names, one with a usual
// name, any.
func defaultBranch(head string, branches []reference) string {
	for _, candidate := range []string{head, "refs/heads/main", "refs/heads/master"} {
		if slices.ContainsFunc(branches, func(r reference) bool { return r.name == candidate }) {
			return candidate
		}
	}
	if len(branches) == 0 {
		return ""
	}

	return branches[0].name
}

// reference is a name and the object that it leads to.
type reference struct {
	name   string
	object string
	peeled string // the object that an annotated tag is for
}

// references lists references by name. Without patterns it lists all.
func (n *Node) references(
	ctx context.Context, dir string, patterns ...string,
) ([]reference, error) {
	return n.forEachRef(ctx, dir, append([]string{"--"}, patterns...))
}

// forEachRef lists references with options of git for-each-ref.
func (n *Node) forEachRef(ctx context.Context, dir string, args []string) ([]reference, error) {
	const format = "--format=%(objectname) %(*objectname) %(refname)"
	output, err := n.git.Output(ctx, git.Command{
		Repository: dir, Args: append([]string{"for-each-ref", format}, args...),
	})
	if err != nil {
		return nil, fmt.Errorf("list references: %w", err)
	}

	var found []reference
	for line := range strings.Lines(string(output)) {
		object, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		peeled, name, _ := strings.Cut(rest, " ")
		found = append(found, reference{name: name, object: object, peeled: peeled})
	}

	return found, nil
}
