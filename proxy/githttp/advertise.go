package githttp

import (
	"context"
	"errors"
	"fmt"
	"io"

	"praefect/proxy/gitalypb"
)

// advertise sends the references of a repository.
func (h *Handler) advertise(ctx context.Context, x *exchange) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream when the client reads no further
	request := &gitalypb.InfoRefsRequest{Repository: h.repository(x), GitProtocol: x.protocol}
	ask := h.client.InfoRefsUploadPack
	if x.service == receivePack {
		ask = h.client.InfoRefsReceivePack
	}
	stream, err := ask(ctx, request)
	if err != nil {
		return err
	}
	return download(x.answer, func() ([]byte, error) {
		response, err := stream.Recv()
		return response.GetData(), err
	})
}

// download writes what receive returns until it returns io.EOF. Another error of it is the status
// of the call and is returned as it came.
func download(out io.Writer, receive func() ([]byte, error)) error {
	for {
		data, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(data) == 0 {
			continue
		}
		if _, err := out.Write(data); err != nil {
			return fmt.Errorf("relay answer: %w", err)
		}
	}
}
