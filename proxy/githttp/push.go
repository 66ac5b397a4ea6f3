package githttp

import (
	"context"
	"errors"
	"fmt"
	"io"

	"praefect/proxy/gitalypb"
)

const (
	// sizeChunk is how much of a push one message carries: large enough that the cost of a
	// message does not matter, far below the 4 MiB that a server accepts.
	sizeChunk = 128 << 10

	// keyOutcome is the trailer by which the proxy says what became of a write that failed.
	keyOutcome = "praefect-outcome"
)

// pushError is a push that failed, with what the proxy knows of its effect.
type pushError struct {
	err     error
	outcome string
}

// Error returns both.
func (e *pushError) Error() string {
	return fmt.Sprintf("%v (outcome of the push: %s)", e.err, e.outcome)
}

// Unwrap returns the error of the call.
func (e *pushError) Unwrap() error { return e.err }

// push sends the request of a client and the answer of a node past each other.
func (h *Handler) push(ctx context.Context, x *exchange, body io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := h.client.PostReceivePack(ctx)
	if err != nil {
		return err
	}
	uploaded := make(chan error, 1)
	go func() {
		err := upload(body, h.opening(x), stream.Send)
		if err == nil {
			err = stream.CloseSend()
		}
		if errors.Is(err, errClient) {
			cancel(err) // a request that is not whole must not end like one that is
		}
		uploaded <- err
	}()
	failed := download(x.answer, func() ([]byte, error) {
		response, err := stream.Recv()
		return response.GetData(), err
	})
	cancel(failed) // without effect unless the client stopped reading
	sent := x.settle(uploaded)
	if failed == nil || errors.Is(failed, errGone) {
		return failed
	}
	if errors.Is(sent, errClient) {
		failed = sent
	}
	if outcome := stream.Trailer().Get(keyOutcome); len(outcome) > 0 {
		return &pushError{failed, outcome[0]}
	}
	return failed
}

// opening returns the first message of a push, which has no data.
func (h *Handler) opening(x *exchange) *gitalypb.PostReceivePackRequest {
	return &gitalypb.PostReceivePackRequest{
		Repository:   h.repository(x),
		GlId:         h.config.UserID,
		GlRepository: x.repository,
		GlUsername:   x.user,
		GitProtocol:  x.protocol,
	}
}

// settle waits for the end of sending a request. What is left of it is not wanted any more.
func (x *exchange) settle(sent <-chan error) error {
	select {
	case err := <-sent:
		return err
	default:
		x.incoming.stop()
		return <-sent
	}
}

// upload sends the first message and then the body in messages of its own. It returns io.EOF when
// the call ended before the body did; why is told to whoever receives.
func upload(
	body io.Reader, message *gitalypb.PostReceivePackRequest,
	send func(*gitalypb.PostReceivePackRequest) error,
) error {
	for {
		if err := send(message); err != nil {
			return err
		}
		// The library may look at a message after it was sent, so each has its own buffer.
		data := make([]byte, sizeChunk)
		n, err := io.ReadFull(body, data)
		message = &gitalypb.PostReceivePackRequest{Data: data[:n]}
		switch {
		case err == nil:
		case errors.Is(err, errClient), errors.Is(err, errStopped):
			return err //nolint:wrapcheck // it is an error of this package
		case n > 0:
			return send(message) // the last piece
		default:
			return nil
		}
	}
}
