package node

import (
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// sshService serves Git as it is spoken over SSH.
type sshService struct {
	gitalypb.UnimplementedSSHServiceServer

	node *Node
}

// SSHReceivePack implements gitalypb.SSHServiceServer.
func (s *sshService) SSHReceivePack(
	stream grpc.BidiStreamingServer[
		gitalypb.SSHReceivePackRequest, gitalypb.SSHReceivePackResponse],
) error {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	if len(first.GetStdin()) > 0 {
		return failf(codes.InvalidArgument, "first message must not have data")
	}
	p, err := s.node.newPush(first, "ssh")
	if err != nil {
		return err
	}

	input := &streamReader{receive: func() ([]byte, error) {
		message, err := stream.Recv()

		return message.GetStdin(), err
	}}
	var mu sync.Mutex // one message at a time: both outputs share the stream
	send := func(response *gitalypb.SSHReceivePackResponse) error {
		mu.Lock()
		defer mu.Unlock()

		return stream.Send(response)
	}
	stdout := streamWriter(func(data []byte) error {
		return send(&gitalypb.SSHReceivePackResponse{Stdout: data})
	})
	stderr := streamWriter(func(data []byte) error {
		return send(&gitalypb.SSHReceivePackResponse{Stderr: data})
	})

	var failed *git.Error
	err = s.node.receivePack(stream.Context(), p, input, stdout, stderr)
	if err != nil && (!errors.As(err, &failed) || failed.Code < 0) {
		return fmt.Errorf("ssh receive pack: %w", err)
	}
	status := &gitalypb.ExitStatus{}
	if failed != nil {
		status.Value = int32(failed.Code)
	}

	return send(&gitalypb.SSHReceivePackResponse{ExitStatus: status})
}
