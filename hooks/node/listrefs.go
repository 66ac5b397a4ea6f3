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

	sender := newSender(request, stream)
	if request.GetHead() {
		head, err := s.node.head(stream.Context(), repo.path)
		if err != nil {
			return err
		}
		if head.object != "" {
			err = sender.add(reference{name: "HEAD", object: head.object})
		}
		if err != nil {
			return sender.end(err)
		}
	}

	return sender.end(s.node.eachReference(stream.Context(), repo.path,
		selection{args: args, peel: request.GetPeelTags()}, sender.add))
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

// matches tells whether a reference matches a pattern as Git means it: a complete name, the
// beginning of one up to a slash, or a glob.
func matches(pattern, name string) bool {
	if pattern == name || strings.HasPrefix(name, strings.TrimSuffix(pattern, "/")+"/") {
		return true
	}
	ok, err := path.Match(pattern, name)

	return err == nil && ok
}

// errPageFull ends a list of which enough is sent.
var errPageFull = errors.New("page is full")

// sender sends references as they come: without those that a request excludes, which old Git cannot
// do by itself, and only the page that it wants.
type sender struct {
	request *gitalypb.ListRefsRequest
	stream  grpc.ServerStreamingServer[gitalypb.ListRefsResponse]
	// token is the reference after which the page begins, empty once it was found.
	token string
	// room is how many references the page still takes, below zero for any number.
	room int
	// next is what is sent when more comes, or at the end.
	next *gitalypb.ListRefsResponse
}

func newSender(
	request *gitalypb.ListRefsRequest, stream grpc.ServerStreamingServer[gitalypb.ListRefsResponse],
) *sender {
	s := &sender{
		request: request, stream: stream, token: request.GetPaginationParams().GetPageToken(),
		room: -1, next: &gitalypb.ListRefsResponse{},
	}
	if limit := int(request.GetPaginationParams().GetLimit()); limit > 0 {
		s.room = limit
	}

	return s
}

// add takes the next reference of the list.
func (s *sender) add(r reference) error {
	excluded := slices.ContainsFunc(s.request.GetExcludePatterns(), func(pattern []byte) bool {
		return matches(string(pattern), r.name)
	})
	switch {
	case excluded:
		return nil
	case s.token != "":
		if s.token == r.name {
			s.token = ""
		}

		return nil
	case s.room == 0:
		return errPageFull
	}

	if len(s.next.GetReferences()) == listChunk {
		if err := s.send(); err != nil {
			return err
		}
	}
	message := &gitalypb.ListRefsResponse_Reference{Name: []byte(r.name), Target: r.object}
	if s.request.GetPeelTags() {
		message.PeeledTarget = r.peeled
	}
	s.next.References = append(s.next.References, message)
	s.room--

	return nil
}

// end sends what is left, when the list has ended with err.
func (s *sender) end(err error) error {
	full := errors.Is(err, errPageFull)
	switch {
	case err != nil && !full:
		return err
	case s.token != "":
		return failf(codes.InvalidArgument, "page token not found: %q", s.token)
	case len(s.next.GetReferences()) == 0:
		return nil
	case full:
		last := s.next.GetReferences()[len(s.next.GetReferences())-1]
		s.next.PaginationCursor = &gitalypb.PaginationCursor{NextCursor: string(last.GetName())}
	}

	return s.send()
}

func (s *sender) send() error {
	if err := s.stream.Send(s.next); err != nil {
		return fmt.Errorf("send references: %w", err)
	}
	s.next = &gitalypb.ListRefsResponse{}

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
