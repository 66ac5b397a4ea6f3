package node

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/git"
)

// operation is one Git process with hooks.
type operation struct {
	node    *Node
	environ string
	votes   *memory
	end     func()
}

// operate prepares a Git process with hooks, which act for the call with ctx: when it ends, their
// votes are cancelled. The caller calls end when the process has ended.
func (n *Node) operate(
	ctx context.Context, repo repository, part participation, pusher hooks.Pusher,
) (*operation, error) {
	votes := &memory{Voter: part.Voter}
	token, end := n.hooks.Add(hooks.Operation{Voter: votes, Done: ctx.Done()})

	environ, err := hooks.Payload{
		Socket:       n.socket,
		Token:        token,
		Transaction:  part.transaction,
		Storage:      n.cfg.Storage,
		RelativePath: repo.relative,
		Path:         repo.path,
		Pusher:       pusher,
	}.Environ()
	if err != nil {
		end()

		return nil, err
	}

	return &operation{node: n, environ: environ, votes: votes, end: end}, nil
}

// command adds to a command what its hooks need.
func (o *operation) command(command git.Command) git.Command {
	command.Hooks = o.node.hooksDir
	command.Env = append(command.Env, o.environ)

	return command
}

// explain adds to the error of a Git process, which only knows that a hook refused, why it did.
func (o *operation) explain(err error) error {
	refusal := o.votes.refusal()
	if err == nil || refusal == nil {
		return err
	}

	return &failure{code: refusalCode(refusal), err: errors.Join(refusal, err)}
}

// refusalCode is the code for a change that was given up because of a vote.
func refusalCode(err error) codes.Code {
	switch {
	case errors.Is(err, hooks.ErrAborted):
		return codes.Aborted
	case errors.Is(err, hooks.ErrStopped):
		return codes.FailedPrecondition
	default:
		return codes.Internal // whatever the code of the vote's own call was
	}
}
