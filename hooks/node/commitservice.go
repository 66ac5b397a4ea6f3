package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// commitService reads commits.
type commitService struct {
	gitalypb.UnimplementedCommitServiceServer

	node *Node
}

// bodyMax is how much of a commit's message is sent; body_size tells how long it is.
const bodyMax = 100 << 10

// FindCommit implements gitalypb.CommitServiceServer. A commit that does not exist is left out of
// the response.
func (s *commitService) FindCommit(
	ctx context.Context, request *gitalypb.FindCommitRequest,
) (*gitalypb.FindCommitResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	revision := string(request.GetRevision())
	if err := checkRevision(revision); err != nil {
		return nil, err
	}

	id, err := s.node.optional(ctx, repo.path,
		"rev-parse", "--quiet", "--verify", revision+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("resolve revision: %w", err)
	}
	if id == "" {
		return &gitalypb.FindCommitResponse{}, nil
	}

	content, err := s.node.git.Output(ctx, git.Command{
		Repository: repo.path, Args: []string{"cat-file", "commit", id},
	})
	if err != nil {
		return nil, fmt.Errorf("read commit: %w", err)
	}
	commit, err := parseCommit(id, content)
	if err != nil {
		return nil, fmt.Errorf("parse commit %s: %w", id, err)
	}

	return &gitalypb.FindCommitResponse{Commit: commit}, nil
}

var errMalformedCommit = errors.New("malformed commit")

// parseCommit turns the content of a commit object into what callers are told.
func parseCommit(id string, content []byte) (*gitalypb.GitCommit, error) {
	headers, message, ok := bytes.Cut(content, []byte("\n\n"))
	if !ok {
		headers = bytes.TrimSuffix(content, []byte("\n"))
	}
	subject, _, _ := bytes.Cut(message, []byte("\n"))
	commit := &gitalypb.GitCommit{
		Id: id, Subject: subject, Body: message[:min(len(message), bodyMax)],
		BodySize: int64(len(message)),
	}

	for line := range strings.Lines(string(headers)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if err := addHeader(commit, key, value); err != nil {
			return nil, err
		}
	}
	if commit.GetTreeId() == "" {
		return nil, fmt.Errorf("%w: no tree", errMalformedCommit)
	}

	return commit, nil
}

func addHeader(commit *gitalypb.GitCommit, key, value string) error {
	var err error
	switch key {
	case "tree":
		commit.TreeId = value
	case "parent":
		commit.ParentIds = append(commit.ParentIds, value)
	case "author":
		commit.Author, err = parseAuthor(value)
	case "committer":
		commit.Committer, err = parseAuthor(value)
	case "encoding":
		commit.Encoding = value
	case "gpgsig", "gpgsig-sha256":
		commit.SignatureType = signatureType(value)
	}

	return err
}

func signatureType(begin string) gitalypb.SignatureType {
	switch {
	case strings.Contains(begin, "SSH SIGNATURE"):
		return gitalypb.SignatureType_SSH
	case strings.Contains(begin, "SIGNED MESSAGE"):
		return gitalypb.SignatureType_X509
	default:
		return gitalypb.SignatureType_PGP
	}
}

// parseAuthor parses "name <email> seconds timezone".
func parseAuthor(value string) (*gitalypb.CommitAuthor, error) {
	open, end := strings.Index(value, "<"), strings.LastIndex(value, ">")
	if open < 0 || end < open {
		return nil, fmt.Errorf("%w: author %q", errMalformedCommit, value)
	}
	author := &gitalypb.CommitAuthor{
		Name:  []byte(strings.TrimSpace(value[:open])),
		Email: []byte(value[open+1 : end]),
	}

	// Old commits have dates that make no sense; they are left out.
	seconds, zone, _ := strings.Cut(strings.TrimSpace(value[end+1:]), " ")
	if at, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		author.Date = &timestamppb.Timestamp{Seconds: at}
		author.Timezone = []byte(zone)
	}

	return author, nil
}
