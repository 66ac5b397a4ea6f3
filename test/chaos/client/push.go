package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/chaos/history"
)

// piece is how much of a push is sent in one message.
const piece = 128 << 10

// pusher is who pushes; nodes demand that somebody is named.
const pusher = "user-1"

// change is a push.
type change struct {
	path     string
	commands []command
	packed   []byte
	atomic   bool
}

// capabilities are what the push asks for.
func (c change) capabilities(more string) string {
	if c.atomic {
		more += " atomic"
	}

	return "report-status" + more + " object-format=sha1 agent=chaos"
}

func (w *worker) pushSingle(ctx context.Context, repo *repository) bool {
	return w.pushTo(ctx, repo, []string{w.single()}, false)
}

// pushSeveral pushes two references without demanding that both be taken.
func (w *worker) pushSeveral(ctx context.Context, repo *repository) bool {
	return w.pushTo(ctx, repo, w.twoSingles(), false)
}

// pushGroup pushes all references of the group, all or none.
func (w *worker) pushGroup(ctx context.Context, repo *repository) bool {
	_, group := References()

	return w.pushTo(ctx, repo, group, true)
}

func (w *worker) pushTo(
	ctx context.Context, repo *repository, names []string, atomic bool,
) bool {
	// Who pushes looks first.
	if err := w.list(ctx, repo.path, true); err != nil {
		return false
	}

	var operations []history.Operation
	var commits []object
	for _, name := range names {
		value := ""
		if atomic || !w.chance(deletePercent) {
			made := commit(w.world.chain.tree, w.world.chain.commits[0], w.unique("commit"))
			value = made.id()
			commits = append(commits, made)
		}
		o := w.intend(history.Key{Repository: repo.path, Name: name}, value, true)
		if o.Value == "" && o.Old == "" {
			continue // There is nothing to delete.
		}
		operations = append(operations, o)
	}
	if len(operations) == 0 {
		return true
	}

	return w.push(ctx, repo.path, operations, commits, atomic)
}

// push pushes over one of the two transports.
func (w *worker) push(
	ctx context.Context, path string, operations []history.Operation, objects []object, atomic bool,
) bool {
	c := change{path: path, atomic: atomic}
	deletes := true
	for _, o := range operations {
		c.commands = append(c.commands, command{o.Key.Name, o.Old, o.Value})
		deletes = deletes && o.Value == ""
	}
	if !deletes {
		var err error
		if c.packed, err = pack(objects); err != nil {
			return false
		}
	}

	method, call := "SSHReceivePack", w.pushSSH
	if w.chance(50) {
		method, call = "PostReceivePack", w.pushHTTP
	}
	got := w.write(ctx, method, operations,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			return call(ctx, conn, c, to)
		})

	return got.detail() == ""
}

func (w *worker) pushHTTP(
	ctx context.Context, conn grpc.ClientConnInterface, c change, to *answer,
) error {
	stream, err := gitalypb.NewSmartHTTPServiceClient(conn).PostReceivePack(ctx, to.options()...)
	if err != nil {
		return err
	}
	err = stream.Send(&gitalypb.PostReceivePackRequest{
		Repository: w.world.proto(c.path), GlId: pusher, GlRepository: "project-1",
	})
	if err == nil {
		content := request(c.commands, c.capabilities(" side-band-64k"), c.packed)
		upload(content, func(part []byte) error {
			return stream.Send(&gitalypb.PostReceivePackRequest{Data: part})
		})
	}
	_ = stream.CloseSend() // Why sending fails is what receiving tells.

	var output strings.Builder
	err = receive(stream.Recv, func(message *gitalypb.PostReceivePackResponse) {
		output.Write(message.GetData())
	})
	if err != nil {
		return err
	}

	data, messages, err := demultiplex(output.String())
	if err != nil {
		return err
	}
	if to.declined, err = parseReport(data); err != nil {
		return fmt.Errorf("%w: %s", err, messages)
	}
	explain(to.declined, messages)

	return nil
}

func (w *worker) pushSSH(
	ctx context.Context, conn grpc.ClientConnInterface, c change, to *answer,
) error {
	stream, err := gitalypb.NewSSHServiceClient(conn).SSHReceivePack(ctx, to.options()...)
	if err != nil {
		return err
	}
	err = stream.Send(&gitalypb.SSHReceivePackRequest{
		Repository: w.world.proto(c.path), GlId: pusher, GlRepository: "project-1",
	})
	if err == nil {
		content := request(c.commands, c.capabilities(""), c.packed)
		upload(content, func(part []byte) error {
			return stream.Send(&gitalypb.SSHReceivePackRequest{Stdin: part})
		})
	}
	_ = stream.CloseSend() // Why sending fails is what receiving tells.

	var output, messages strings.Builder
	err = receive(stream.Recv, func(message *gitalypb.SSHReceivePackResponse) {
		output.Write(message.GetStdout())
		messages.Write(message.GetStderr())
	})
	if err != nil {
		return err
	}

	if to.declined, err = parseReport(afterAdvertisement(output.String())); err != nil {
		return fmt.Errorf("%w: %s", err, messages.String())
	}
	explain(to.declined, messages.String())

	return nil
}

// upload sends a push in pieces, as long as that succeeds.
func upload(content []byte, send func(part []byte) error) {
	for len(content) > 0 {
		n := min(piece, len(content))
		if send(content[:n]) != nil {
			return
		}
		content = content[n:]
	}
}

// receive takes messages until the other side has ended.
func receive[M any](next func() (M, error), take func(M)) error {
	for {
		message, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		take(message)
	}
}

// explain adds what Git said to the reasons.
func explain(declined report, messages string) {
	for name, reason := range declined {
		if reason != "" {
			declined[name] = reason + ": " + strings.TrimSpace(messages)
		}
	}
}
