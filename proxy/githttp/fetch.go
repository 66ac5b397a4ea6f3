package githttp

import (
	"context"
	"errors"
	"fmt"
	"io"

	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// fetch has the request of a client and the answer of a node travel over a sidechannel, beside
// the call that asks for it.
func (h *Handler) fetch(ctx context.Context, x *exchange, body io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var uploaded chan error // set when the sidechannel is opened
	waiter := h.sidechannels.Register(func(channel *sidechannel.ClientConn) error {
		uploaded = make(chan error, 1)
		go func() { uploaded <- ask(channel, body, cancel) }()
		if _, err := io.Copy(x.answer, channel); err != nil {
			cancel(err)
			return fmt.Errorf("relay answer: %w", err)
		}
		return nil
	})
	_, failed := h.client.PostUploadPackWithSidechannel(waiter.Outgoing(ctx),
		&gitalypb.PostUploadPackWithSidechannelRequest{
			Repository: h.repository(x), GitProtocol: x.protocol,
		})
	end := waiter.Wait
	if failed != nil {
		end = waiter.Close // whoever serves it must not wait for a call that is over
	}
	served := end()
	var asked error
	if uploaded != nil {
		// The stream is closed now, so this waits for the client at most, and not for it either.
		asked = x.settle(uploaded)
	}
	return verdict(failed, served, asked)
}

// ask sends the request. Half a request must not be answered, so the call ends when the client
// breaks off.
func ask(
	channel *sidechannel.ClientConn, body io.Reader, cancel context.CancelCauseFunc,
) error {
	_, err := io.Copy(channel, body)
	if err != nil {
		if errors.Is(err, errClient) {
			cancel(err)
		}
		return fmt.Errorf("relay request: %w", err)
	}
	if err := channel.CloseWrite(); err != nil {
		return fmt.Errorf("relay request: %w", err)
	}
	return nil
}

// verdict picks the error that explains the others: the call's, unless the client is the cause of
// it. A request that was not read to its end is no error when the answer is whole.
func verdict(failed, served, asked error) error {
	switch {
	case failed == nil && served == nil:
		return nil
	case errors.Is(asked, errClient):
		return asked
	case errors.Is(served, errGone), failed == nil:
		return served
	default:
		return failed
	}
}
