package relay

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/transaction"
)

// branch is a fan-out's call to one node.
type branch struct {
	to     Destination
	cancel context.CancelFunc
	// queue holds what waits to be sent. The primary has none: the upload sends to it directly,
	// so that the client is read at the primary's speed. Nor has any when only one message is
	// sent.
	queue *queue

	// opened is closed when node is set, or stays nil because the call could not be started.
	opened chan struct{}
	node   grpc.ClientStream

	// over is closed when nothing more comes from the node. err, header and trailer are set
	// before.
	over    chan struct{}
	err     error
	header  metadata.MD
	trailer metadata.MD

	// ended is set by the [Witness]: the status is the node's own.
	ended atomic.Bool
	// ejected is set once the destination takes no further part, why just before.
	ejected atomic.Bool
	why     atomic.Value
}

// open starts the call and sends the first message.
func (b *branch) open(ctx context.Context, call *Call, options []grpc.CallOption) error {
	defer close(b.opened)
	defer b.to.First.Free()
	ctx = withEnding(metadata.NewOutgoingContext(ctx, b.to.Metadata), &b.ended)
	description := grpc.StreamDesc{ServerStreams: true, ClientStreams: call.ClientStreams}
	node, err := b.to.Conn.NewStream(ctx, &description, call.Method, options...)
	if err != nil {
		return err //nolint:wrapcheck // a status
	}
	if err := node.SendMsg(&b.to.First); err != nil && !errors.Is(err, io.EOF) {
		return err //nolint:wrapcheck // a status
	}
	b.node = node
	return nil
}

// feed sends what is put into the queue, and then half-closes the call. It ends when the queue
// does or the call is over.
func (b *branch) feed() {
	for {
		frame, more := b.queue.take()
		if !more {
			// An error here says what receiving says as well: the call is over.
			_ = b.node.CloseSend()
			return
		}
		size := frame.Len()
		err := b.node.SendMsg(&frame)
		frame.Free()
		b.queue.sent(size)
		if err != nil {
			b.queue.discard()
		}
	}
}

// drop reads what the node answers and frees it, and returns the node's status.
func (b *branch) drop() error {
	var frame Frame
	defer frame.Free()
	for {
		if err := b.node.RecvMsg(&frame); err != nil {
			return statusOrNil(err)
		}
	}
}

// follow runs the call to a destination whose answer nobody needs.
func (b *branch) follow() error {
	if b.queue == nil {
		return b.drop()
	}
	var feeding sync.WaitGroup
	feeding.Go(b.feed)
	err := b.drop()
	b.queue.discard()
	feeding.Wait()
	return err
}

// isOver tells whether nothing more comes from the node.
func (b *branch) isOver() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}

// End is how a call stands on one node.
type End struct {
	Node transaction.Voter
	// Over tells that nothing more comes from the node.
	Over bool
	// Seen tells that the node has ended the call itself, with Err as its status.
	Seen bool
	// Err is nil when the call went well, and while it is not over.
	Err error
	// Cut tells that the call is over and the node was not given all that the client has sent. It
	// has seen an ordinary end of its input, and may have taken what it got for the whole.
	Cut bool
	// Ejected says in words why the node was ejected, if it was before the end of its call.
	Ejected string
}

// end returns how the call stands.
func (b *branch) end() End {
	over := b.isOver() // Asked first, so that what has led to it is seen.
	why, _ := b.why.Load().(reason)
	end := End{Node: b.to.Name, Over: over, Ejected: why.words()}
	if over {
		end.Seen, end.Err = b.seen(), b.err
		end.Cut = b.queue != nil && b.queue.incomplete()
	}
	return end
}

// seen tells whether the status of a call that is over is the node's own.
func (b *branch) seen() bool { return b.err == nil || b.ended.Load() }

// statusOrNil turns the end of a stream into no error.
func statusOrNil(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
