package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/codes"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// fetchRequest is what the request of a fetch says, whatever the transport.
type fetchRequest interface {
	GetRepository() *gitalypb.Repository
	GetGitConfigOptions() []string
	GetGitProtocol() string
}

// PostUploadPackWithSidechannel implements gitalypb.SmartHTTPServiceServer.
func (s *smartHTTPService) PostUploadPackWithSidechannel(
	ctx context.Context, request *gitalypb.PostUploadPackWithSidechannelRequest,
) (*gitalypb.PostUploadPackWithSidechannelResponse, error) {
	command, err := s.node.uploadPack(request, "--stateless-rpc")
	if err != nil {
		return nil, err
	}
	conn, err := sidechannel.Open(ctx)
	if sidechannel.Retryable(err) {
		return nil, failf(codes.Unavailable, "open sidechannel: %w", err)
	}
	if err != nil {
		return nil, failf(codes.Internal, "open sidechannel: %w", err)
	}

	statistics, err := s.node.upload(ctx, command, conn, conn)
	if err != nil {
		return nil, fmt.Errorf("post upload pack: %w", err)
	}

	return &gitalypb.PostUploadPackWithSidechannelResponse{
		PackfileNegotiationStatistics: statistics,
	}, nil
}

// SSHUploadPackWithSidechannel implements gitalypb.SSHServiceServer.
func (s *sshService) SSHUploadPackWithSidechannel(
	ctx context.Context, request *gitalypb.SSHUploadPackWithSidechannelRequest,
) (*gitalypb.SSHUploadPackWithSidechannelResponse, error) {
	command, err := s.node.uploadPack(request)
	if err != nil {
		return nil, err
	}
	conn, err := sidechannel.Open(ctx)
	if err != nil {
		return nil, failf(codes.Internal, "open sidechannel: %w", err)
	}

	bands := &sideband{sink: conn}
	command.Stderr = bands.writer(bandError)
	statistics, err := s.node.upload(ctx, command, conn, bands.writer(bandOutput))
	if err != nil {
		return nil, fmt.Errorf("ssh upload pack: %w", err)
	}

	return &gitalypb.SSHUploadPackWithSidechannelResponse{
		PackfileNegotiationStatistics: statistics,
	}, nil
}

func (n *Node) uploadPack(request fetchRequest, options ...string) (git.Command, error) {
	repo, err := n.find(request.GetRepository())
	if err != nil {
		return git.Command{}, err
	}
	if err := checkSettings(request.GetGitConfigOptions()); err != nil {
		return git.Command{}, err
	}

	return git.Command{
		Config: append(uploadSettings(), request.GetGitConfigOptions()...),
		Args:   append(append([]string{"upload-pack"}, options...), repo.path),
		Env:    []string{"GIT_PROTOCOL=" + request.GetGitProtocol()},
	}, nil
}

// upload serves a fetch over a sidechannel, which it closes.
func (n *Node) upload(
	ctx context.Context, command git.Command, conn *sidechannel.ServerConn, stdout io.Writer,
) (*gitalypb.PackfileNegotiationStatistics, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	process, err := n.git.Start(ctx, command)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}

	negotiation := &negotiation{}
	var feeding sync.WaitGroup
	feeding.Go(func() { feed(process.Stdin, io.TeeReader(conn, negotiation)) })

	_, failed := io.Copy(stdout, process.Stdout)
	if failed != nil {
		cancel()
		_, _ = io.Copy(io.Discard, process.Stdout) // Nobody reads any more, but Git must end.
	}
	err = errors.Join(process.Wait(), conn.Close())
	feeding.Wait() // ends with the sidechannel

	statistics := negotiation.statistics()
	if failed == nil && statistics.GetDeepen() != "" {
		// The first of the requests of a shallow clone ends where Git expects more.
		return statistics, nil
	}

	return statistics, errors.Join(failed, err)
}

// The side bands of Git.
const (
	bandOutput = 1
	bandError  = 2

	// bandMax is the largest payload of a packet: 65520 bytes less length and band.
	bandMax = 65515
)

// sideband sends several outputs over one connection.
type sideband struct {
	mu   sync.Mutex // one packet at a time
	sink io.Writer
}

// writer returns the writer for one band.
func (s *sideband) writer(band byte) io.Writer {
	return streamWriter(func(data []byte) error {
		for len(data) > 0 {
			part := data[:min(len(data), bandMax)]
			data = data[len(part):]
			if err := s.send(band, part); err != nil {
				return err
			}
		}

		return nil
	})
}

func (s *sideband) send(band byte, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	const header = 5 // four digits of the length, and the band
	packet := append(fmt.Appendf(nil, "%04x%c", len(data)+header, band), data...)
	if _, err := s.sink.Write(packet); err != nil {
		return fmt.Errorf("send packet: %w", err)
	}

	return nil
}
