package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
	var found []reference
	err := n.eachReference(ctx, dir, selection{args: append([]string{"--"}, patterns...)},
		func(r reference) error {
			found = append(found, r)

			return nil
		})

	return found, err
}

// selection says which references are wanted.
type selection struct {
	// args are options of git for-each-ref.
	args []string
	// peel asks for what annotated tags are for. Git reads each object for that, which takes far
	// longer than everything else.
	peel bool
}

// eachReference calls visit for each reference as Git lists them, until that returns an error,
// which it then returns itself. Nothing of the list is kept.
func (n *Node) eachReference(
	ctx context.Context, dir string, wanted selection, visit func(reference) error,
) error {
	format := "--format=%(objectname)  %(refname)"
	if wanted.peel {
		format = "--format=%(objectname) %(*objectname) %(refname)"
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	process, err := n.git.Start(ctx, git.Command{
		Repository: dir, Args: append([]string{"for-each-ref", format}, wanted.args...),
	})
	if err != nil {
		return fmt.Errorf("list references: %w", err)
	}

	visited := eachLine(process.Stdout, func(line string) error {
		object, rest, _ := strings.Cut(line, " ")
		peeled, name, _ := strings.Cut(rest, " ")

		return visit(reference{name: name, object: object, peeled: peeled})
	})
	if visited != nil {
		cancel() // Nobody reads what Git would go on to write.
		_ = process.Wait()

		return visited
	}
	if err := process.Wait(); err != nil {
		return fmt.Errorf("list references: %w", err)
	}

	return nil
}

// eachLine calls visit for each line, without its end.
func eachLine(from io.Reader, visit func(line string) error) error {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := visit(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read output of git: %w", err)
		}
	}
}
