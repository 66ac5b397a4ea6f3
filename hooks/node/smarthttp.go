package node

import (
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// smartHTTPService serves Git as it is spoken over HTTP.
type smartHTTPService struct {
	gitalypb.UnimplementedSmartHTTPServiceServer

	node *Node
}

// InfoRefsReceivePack implements gitalypb.SmartHTTPServiceServer.
func (s *smartHTTPService) InfoRefsReceivePack(
	request *gitalypb.InfoRefsRequest, stream grpc.ServerStreamingServer[gitalypb.InfoRefsResponse],
) error {
	return s.node.infoRefs("receive-pack", receiveSettings(), request, stream)
}

// InfoRefsUploadPack implements gitalypb.SmartHTTPServiceServer.
func (s *smartHTTPService) InfoRefsUploadPack(
	request *gitalypb.InfoRefsRequest, stream grpc.ServerStreamingServer[gitalypb.InfoRefsResponse],
) error {
	return s.node.infoRefs("upload-pack", uploadSettings(), request, stream)
}

func (n *Node) infoRefs(
	service string, settings []string, request *gitalypb.InfoRefsRequest,
	stream grpc.ServerStreamingServer[gitalypb.InfoRefsResponse],
) error {
	repo, err := n.find(request.GetRepository())
	if err != nil {
		return err
	}
	if err := checkSettings(request.GetGitConfigOptions()); err != nil {
		return err
	}

	output := streamWriter(func(data []byte) error {
		return stream.Send(&gitalypb.InfoRefsResponse{Data: data})
	})
	if _, err := io.WriteString(output, pktLine("# service=git-"+service+"\n")+"0000"); err != nil {
		return fmt.Errorf("send service line: %w", err)
	}
	err = n.git.Run(stream.Context(), git.Command{
		Config: append(settings, request.GetGitConfigOptions()...),
		Args:   []string{service, "--stateless-rpc", "--advertise-refs", repo.path},
		Env:    []string{"GIT_PROTOCOL=" + request.GetGitProtocol()},
		Stdout: output,
	})
	if err != nil {
		return fmt.Errorf("advertise references: %w", err)
	}

	return nil
}

// pktLine frames a line as Git does: four hex digits with the length, which includes them.
func pktLine(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }

// PostReceivePack implements gitalypb.SmartHTTPServiceServer.
func (s *smartHTTPService) PostReceivePack(
	stream grpc.BidiStreamingServer[
		gitalypb.PostReceivePackRequest, gitalypb.PostReceivePackResponse],
) error {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // a status already
	}
	if len(first.GetData()) > 0 {
		return failf(codes.InvalidArgument, "first message must not have data")
	}
	p, err := s.node.newPush(first, "http", "--stateless-rpc")
	if err != nil {
		return err
	}

	input := &streamReader{receive: func() ([]byte, error) {
		message, err := stream.Recv()

		return message.GetData(), err
	}}
	output := streamWriter(func(data []byte) error {
		return stream.Send(&gitalypb.PostReceivePackResponse{Data: data})
	})
	if err := s.node.receivePack(stream.Context(), p, input, output, nil); err != nil {
		return fmt.Errorf("post receive pack: %w", err)
	}

	return nil
}
