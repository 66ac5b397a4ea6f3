package node

import (
	"context"
	"crypto/sha1" //nolint:gosec // The protocol fixes SHA-1: it finds differences, not forgeries.
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks/node/disk"
	"praefect/proxy/gitalypb"
)

// CalculateChecksum implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) CalculateChecksum(
	ctx context.Context, request *gitalypb.CalculateChecksumRequest,
) (*gitalypb.CalculateChecksumResponse, error) {
	repo, err := s.node.locate(request.GetRepository())
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(repo.path); err != nil {
		return nil, failf(codes.NotFound, "repository not found")
	}
	if !disk.IsRepository(repo.path) {
		return nil, failf(codes.DataLoss, "not a git repository '%s'", repo.path)
	}

	found, err := s.node.references(ctx, repo.path)
	if err != nil {
		return nil, failf(codes.DataLoss, "list references: %w", err)
	}
	head, err := s.node.head(ctx, repo.path)
	if err != nil {
		return nil, err
	}
	if head.object != "" {
		found = append(found, reference{name: "HEAD", object: head.object})
	}

	return &gitalypb.CalculateChecksumResponse{Checksum: checksum(found)}, nil
}

// checksum combines references into one number, in no order. Only lines that match count.
func checksum(found []reference) string {
	counts := regexp.MustCompile(
		`HEAD|refs/(heads|tags|keep-around|merge-requests|environments|notes)/`)

	total := new(big.Int)
	for _, r := range found {
		line := r.object + " " + r.name
		if !counts.MatchString(line) {
			continue
		}
		sum := sha1.Sum([]byte(line)) //nolint:gosec // as above
		total.Xor(total, new(big.Int).SetBytes(sum[:]))
	}
	if total.Sign() == 0 {
		return zeroID("sha1")
	}

	return hex.EncodeToString(total.Bytes())
}

// RepositorySize implements gitalypb.RepositoryServiceServer. The unit is KiB.
func (s *repositoryService) RepositorySize(
	_ context.Context, request *gitalypb.RepositorySizeRequest,
) (*gitalypb.RepositorySizeResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	size, err := disk.Size(repo.path)
	if err != nil {
		return nil, err
	}

	return &gitalypb.RepositorySizeResponse{Size: size >> 10}, nil
}

// ObjectFormat implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) ObjectFormat(
	ctx context.Context, request *gitalypb.ObjectFormatRequest,
) (*gitalypb.ObjectFormatResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	name, err := s.node.optional(ctx, repo.path, "rev-parse", "--show-object-format")
	if err != nil {
		return nil, fmt.Errorf("ask for object format: %w", err)
	}

	format, ok := gitalypb.ObjectFormat_value["OBJECT_FORMAT_"+strings.ToUpper(name)]
	if !ok {
		return nil, failf(codes.Internal, "object format not known: %q", name)
	}

	return &gitalypb.ObjectFormatResponse{Format: gitalypb.ObjectFormat(format)}, nil
}

// GetConfig implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) GetConfig(
	request *gitalypb.GetConfigRequest,
	stream grpc.ServerStreamingServer[gitalypb.GetConfigResponse],
) error {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(repo.path, "config"))
	if err != nil {
		return fmt.Errorf("open configuration: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only

	_, err = io.Copy(streamWriter(func(data []byte) error {
		return stream.Send(&gitalypb.GetConfigResponse{Data: data})
	}), file)
	if err != nil {
		return fmt.Errorf("send configuration: %w", err)
	}

	return nil
}
