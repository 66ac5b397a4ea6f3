package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// The names under which Git runs hooks.
const (
	hookReferenceTransaction = "reference-transaction"
	hookPreReceive           = "pre-receive"
	hookUpdate               = "update"
	hookPostReceive          = "post-receive"
)

// Names returns the hooks that a node installs for its Git processes.
func Names() []string {
	return []string{hookReferenceTransaction, hookPreReceive, hookUpdate, hookPostReceive}
}

// stdinMax bounds the input that is kept for custom hooks: a push of two million references.
const stdinMax = 256 << 20

// Call is one run of a hook by Git.
type Call struct {
	// Name is the hook's name, Args what Git gave to it.
	Name string
	Args []string
	// Environ is the environment, with the node's payload in it.
	Environ []string
	// Stdin, Stdout and Stderr are those of the process.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run is the life of a hook process, and returns its exit code. The input is read to its end
// before anything else happens. What went wrong is written to Stderr, which Git shows to whoever
// pushes.
//
// The code is 0 in the states "committed" and "aborted" of a reference transaction, whatever
// happened: the change is decided, and Git would not care.
func Run(ctx context.Context, call Call) int {
	err := run(ctx, call)
	if err == nil {
		return 0
	}
	if !isExit(err) {
		// There is nobody to whom a failure of this could be told.
		_, _ = fmt.Fprintf(call.Stderr, "%s hook: %v\n", call.Name, err)
	}
	if call.decided() {
		return 0
	}

	return 1
}

// decided tells whether Git asks about something that cannot be changed any more.
func (c Call) decided() bool {
	return c.Name == hookReferenceTransaction && len(c.Args) > 0 &&
		(c.Args[0] == "committed" || c.Args[0] == "aborted")
}

// isExit tells whether a custom hook has refused. It has said why itself.
func isExit(err error) bool {
	var exit *exec.ExitError

	return errors.As(err, &exit)
}

func run(ctx context.Context, call Call) error {
	payload, err := PayloadFrom(call.Environ)
	if err != nil {
		return errors.Join(err, drain(call.Stdin))
	}
	node := client{payload: payload, hook: call.Name}

	switch call.Name {
	case hookReferenceTransaction:
		return referenceTransaction(ctx, node, call)
	case hookPreReceive, hookPostReceive, hookUpdate:
		return synchronize(ctx, node, call)
	default:
		return errors.Join(fmt.Errorf("%w: %q", ErrUnknownHook, call.Name), drain(call.Stdin))
	}
}

// referenceTransaction votes on what Git is about to do, or has done, to references.
func referenceTransaction(ctx context.Context, node client, call Call) error {
	lines, err := ReadLines(call.Stdin)
	if err != nil {
		return err
	}
	if lines.Silent || !node.payload.Voting() || len(call.Args) == 0 {
		return nil
	}

	var phase Phase
	switch call.Args[0] {
	case "prepared":
		phase = Prepared
	case "committed":
		phase = Committed
	default: // "preparing" and "aborted", or what a newer Git may say
		return nil
	}
	if err := node.vote(ctx, phase, lines.Hash); err != nil {
		return fmt.Errorf("error voting on transaction: %w", err)
	}

	return nil
}

// synchronize makes all nodes wait until the primary's custom hooks have succeeded.
func synchronize(ctx context.Context, node client, call Call) error {
	custom, err := prepareCustomHooks(node.payload, call)
	if err != nil {
		return err
	}

	if len(custom.paths) > 0 {
		if err := custom.run(ctx, node); err != nil {
			return refuse(ctx, node, err)
		}
	}
	if !node.payload.Voting() {
		return nil
	}

	if err := node.vote(ctx, Synchronized, SynchronizeHook(call.Name)); err != nil {
		return fmt.Errorf("synchronizing %s hook: vote failed: %w", call.Name, err)
	}

	return nil
}

// refuse ends the transaction for all nodes, because this primary does not want it.
func refuse(ctx context.Context, node client, reason error) error {
	if !node.payload.Voting() {
		return reason
	}
	if err := node.stop(ctx); err != nil {
		return fmt.Errorf("%w; stop transaction: %w", reason, err)
	}

	return reason
}

// prepareCustomHooks reads the input, which is kept only when there are hooks to give it to.
func prepareCustomHooks(payload Payload, call Call) (customHooks, error) {
	custom := customHooks{call: call, pusher: payload.Pusher}
	if payload.RunsCustomHooks() {
		paths, err := findCustomHooks(payload.Path, call.Name)
		if err != nil {
			return customHooks{}, errors.Join(err, drain(call.Stdin))
		}
		custom.paths = paths
	}
	if len(custom.paths) == 0 {
		return custom, drain(call.Stdin)
	}

	var input bytes.Buffer
	n, err := input.ReadFrom(io.LimitReader(call.Stdin, stdinMax+1))
	if err != nil {
		return customHooks{}, fmt.Errorf("read input: %w", err)
	}
	if n > stdinMax {
		return customHooks{}, errors.Join(ErrInputTooLarge, drain(call.Stdin))
	}
	custom.stdin = input.Bytes()

	return custom, nil
}

// drain reads what Git still writes, so that it does not fail for that.
func drain(input io.Reader) error {
	if _, err := io.Copy(io.Discard, input); err != nil {
		return fmt.Errorf("read input: %w", err)
	}

	return nil
}
