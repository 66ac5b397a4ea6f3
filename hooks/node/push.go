package node

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// push is a push to a repository.
type push struct {
	repo     repository
	pusher   hooks.Pusher
	protocol string   // value of GIT_PROTOCOL
	config   []string // what the caller wants to be set
	args     []string // options of git receive-pack
}

// pushRequest is what the first message of a push says, whatever the transport.
type pushRequest interface {
	GetRepository() *gitalypb.Repository
	GetGlId() string
	GetGlUsername() string
	GetGlRepository() string
	GetGitProtocol() string
	GetGitConfigOptions() []string
}

func (n *Node) newPush(request pushRequest, transport string, args ...string) (push, error) {
	repo, err := n.find(request.GetRepository())
	if err != nil {
		return push{}, err
	}
	if request.GetGlId() == "" {
		return push{}, failf(codes.InvalidArgument, "gl_id not set")
	}
	if err := checkSettings(request.GetGitConfigOptions()); err != nil {
		return push{}, err
	}

	return push{
		repo: repo,
		pusher: hooks.Pusher{
			ID:         request.GetGlId(),
			Name:       request.GetGlUsername(),
			Repository: request.GetGlRepository(),
			Protocol:   transport,
		},
		protocol: request.GetGitProtocol(),
		config:   request.GetGitConfigOptions(),
		args:     args,
	}, nil
}

// receivePack runs a push to its end and casts the final vote. It returns the error of Git with the
// reason for which a vote was refused. Git is never killed: when the client goes away it reads the
// end of its input, and its hooks refuse.
func (n *Node) receivePack(
	ctx context.Context, p push, stdin io.Reader, stdout, stderr io.Writer,
) error {
	part, err := n.participate(ctx)
	if err != nil {
		return err
	}
	operation, err := n.operate(ctx, p.repo, part, p.pusher)
	if err != nil {
		return err
	}
	defer operation.end()

	process, err := n.git.Start(context.WithoutCancel(ctx), operation.command(git.Command{
		Config: append(receiveSettings(), p.config...),
		Args:   append(append([]string{"receive-pack"}, p.args...), p.repo.path),
		Env:    []string{"GIT_PROTOCOL=" + p.protocol},
		Stderr: stderr,
	}))
	if err != nil {
		return err
	}

	// It ends when the client has sent everything or is gone, or at the latest when the call
	// returns, which makes receiving fail: there is no way to wait for that from inside the call.
	go feed(process.Stdin, stdin)

	deliver(stdout, process.Stdout)
	if err := process.Wait(); err != nil {
		return operation.explain(err)
	}

	err = part.Vote(ctx, hooks.Committed, hooks.Final())
	if err != nil && !errors.Is(err, hooks.ErrStopped) {
		return failf(codes.Aborted, "final transactional vote: %w", err)
	}

	return nil
}

// feed gives a process its input, and its end.
func feed(process io.WriteCloser, input io.Reader) {
	// Whatever fails, there is no more input. The process says itself what it makes of that.
	_, _ = io.Copy(process, input)
	_ = process.Close() // as above
}

// deliver hands output on as long as somebody takes it, and reads it to its end in any case: a
// process must not fail, halfway through a change, because its reader is gone.
func deliver(client io.Writer, output io.Reader) {
	if _, err := io.Copy(client, output); err != nil {
		_, _ = io.Copy(io.Discard, output) // The error was that of the client.
	}
}
