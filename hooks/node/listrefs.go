package node

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/proxy/gitalypb"
)

// listChunk is how many references are sent in one message: about 100 KiB of usual names.
const listChunk = 1000

// ListRefs implements gitalypb.RefServiceServer. Pages are of references sorted by name.
func (s *refService) ListRefs(
	request *gitalypb.ListRefsRequest, stream grpc.ServerStreamingServer[gitalypb.ListRefsResponse],
) error {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return err
	}
	args, err := listArgs(request)
	if err != nil {
		return err
	}

	found, err := s.node.forEachRef(stream.Context(), repo.path, args)
	if err != nil {
		return err
	}
	if request.GetHead() {
		head, err := s.node.head(stream.Context(), repo.path)
		if err != nil {
			return err
		}
		if head.object != "" {
			found = append([]reference{{name: "HEAD", object: head.object}}, found...)
		}
	}

	page, err := choose(request, found)
	if err != nil {
		return err
	}

	return sendReferences(request, page, stream)
}

// listArgs returns the options of git for-each-ref for a request.
func listArgs(request *gitalypb.ListRefsRequest) ([]string, error) {
	if len(request.GetPatterns()) == 0 {
		return nil, failf(codes.InvalidArgument, "patterns must have at least one entry")
	}
	sorting, err := sortKey(request.GetSortBy())
	if err != nil {
		return nil, err
	}
	args := []string{"--sort=" + sorting}
	if request.GetIgnoreCase() {
		args = append(args, "--ignore-case")
	}
	for _, object := range request.GetPointingAtOids() {
		if !isObjectID(string(object)) {
			return nil, failf(codes.InvalidArgument, "invalid object id: %q", object)
		}
		args = append(args, "--points-at="+string(object))
	}
	args = append(args, "--")
	for _, pattern := range request.GetPatterns() {
		args = append(args, string(pattern))
	}

	return args, nil
}

func sortKey(by *gitalypb.ListRefsRequest_SortBy) (string, error) {
	keys := map[gitalypb.ListRefsRequest_SortBy_Key]string{
		gitalypb.ListRefsRequest_SortBy_REFNAME:       "refname",
		gitalypb.ListRefsRequest_SortBy_CREATORDATE:   "creatordate",
		gitalypb.ListRefsRequest_SortBy_AUTHORDATE:    "authordate",
		gitalypb.ListRefsRequest_SortBy_COMMITTERDATE: "committerdate",
	}
	key, ok := keys[by.GetKey()]
	if !ok {
		return "", failf(codes.InvalidArgument, "invalid sorting key: %s", by.GetKey())
	}
	if by.GetDirection() == gitalypb.SortDirection_DESCENDING {
		return "-" + key, nil
	}

	return key, nil
}

// page is what a caller gets of a list.
type page struct {
	references []reference
	next       string // the token of the following page; empty when there is none
}

// choose leaves out what a request excludes, and cuts the page that it wants. Old Git cannot
// exclude by itself.
func choose(request *gitalypb.ListRefsRequest, found []reference) (page, error) {
	found = slices.DeleteFunc(found, func(r reference) bool {
		return slices.ContainsFunc(request.GetExcludePatterns(), func(pattern []byte) bool {
			return matches(string(pattern), r.name)
		})
	})

	wanted := request.GetPaginationParams()
	if token := wanted.GetPageToken(); token != "" {
		at := slices.IndexFunc(found, func(r reference) bool { return r.name == token })
		if at < 0 {
			return page{}, failf(codes.InvalidArgument, "page token not found: %q", token)
		}
		found = found[at+1:]
	}
	if limit := int(wanted.GetLimit()); limit > 0 && limit < len(found) {
		return page{references: found[:limit], next: found[limit-1].name}, nil
	}

	return page{references: found}, nil
}

// matches tells whether a reference matches a pattern as Git means it: a complete name, the
// beginning of one up to a slash, or a glob.
func matches(pattern, name string) bool {
	if pattern == name || strings.HasPrefix(name, strings.TrimSuffix(pattern, "/")+"/") {
		return true
	}
	ok, err := path.Match(pattern, name)

	return err == nil && ok
}

func sendReferences(
	request *gitalypb.ListRefsRequest, p page,
	stream grpc.ServerStreamingServer[gitalypb.ListRefsResponse],
) error {
	for part := range slices.Chunk(p.references, listChunk) {
		response := &gitalypb.ListRefsResponse{}
		for _, r := range part {
			message := &gitalypb.ListRefsResponse_Reference{Name: []byte(r.name), Target: r.object}
			if request.GetPeelTags() {
				message.PeeledTarget = r.peeled
			}
			response.References = append(response.References, message)
		}
		if p.next != "" && part[len(part)-1].name == p.next {
			response.PaginationCursor = &gitalypb.PaginationCursor{NextCursor: p.next}
		}
		if err := stream.Send(response); err != nil {
			return fmt.Errorf("send references: %w", err)
		}
	}

	return nil
}

// isObjectID tells whether a text is a complete object id of a known format.
func isObjectID(text string) bool {
	return (len(text) == 40 || len(text) == 64) && strings.Trim(text, "0123456789abcdef") == ""
}

// resolve returns the object that a revision names, in full.
func (n *Node) resolve(ctx context.Context, dir, revision string) (string, error) {
	if err := checkRevision(revision); err != nil {
		return "", err
	}
	object, err := n.optional(ctx, dir, "rev-parse", "--quiet", "--verify", revision)
	if err != nil {
		return "", fmt.Errorf("resolve revision: %w", err)
	}
	if object == "" {
		return "", failf(codes.NotFound, "revision not found: %q", revision)
	}

	return object, nil
}

// checkRevision refuses what Git could take for something else than a revision.
func checkRevision(revision string) error {
	switch {
	case revision == "":
		return fail(codes.InvalidArgument, errors.New("empty revision"))
	case strings.HasPrefix(revision, "-"):
		return failf(codes.InvalidArgument, "revision can't start with '-': %q", revision)
	case strings.ContainsAny(revision, " :\\\x00\n"):
		return failf(codes.InvalidArgument, "revision has invalid characters: %q", revision)
	default:
		return nil
	}
}
