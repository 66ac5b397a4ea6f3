package proxy

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"praefect/coordinator"
	"praefect/proxy/relay"
	"praefect/proxy/wire"
	"praefect/transaction"
)

// place is where a node keeps what a call is for. The paths are empty for a call about a whole
// storage.
type place struct {
	storage                     coordinator.Storage
	replicaPath, additionalPath string
	// answers tells that nothing comes back from the node but the answers of the call.
	answers bool
}

// destination addresses the first message to a node.
func (h *Handler) destination(
	c *call, to place, outgoing metadata.MD,
) (relay.Destination, error) {
	connect := h.Connections.Conn
	if to.answers {
		connect = h.Connections.ReadConn
	}
	conn, ok := connect(string(c.key.VirtualStorage), string(to.storage))
	if !ok {
		return relay.Destination{}, fmt.Errorf(
			"%w: %q of %q", ErrNoConnection, to.storage, c.key.VirtualStorage)
	}
	first, err := c.rewrite(to)
	if err != nil {
		return relay.Destination{}, fmt.Errorf("address message to %q: %w", to.storage, err)
	}
	return relay.Destination{
		Name: transaction.Voter(to.storage), Conn: conn, Metadata: outgoing, First: first,
	}, nil
}

// rewrite returns the first message as the node shall see it.
func (c *call) rewrite(to place) (relay.Frame, error) {
	if to.replicaPath == "" {
		size := len(c.message) + len(to.storage)
		return build(size, func(dst []byte) ([]byte, error) {
			return wire.RewriteString(dst, c.message, c.method.Storage, string(to.storage))
		})
	}
	edits := make([]wire.Edit, 1, 2)
	edits[0] = edit(c.method.Target, to.storage, to.replicaPath)
	if c.additional != nil {
		edits = append(edits, edit(c.method.Additional, to.storage, to.additionalPath))
	}
	size := len(c.message) + 2*len(to.storage) + len(to.replicaPath) + len(to.additionalPath)
	return build(size, func(dst []byte) ([]byte, error) {
		return wire.Rewrite(dst, c.message, edits...)
	})
}

func edit(path []int32, storage coordinator.Storage, relativePath string) wire.Edit {
	return wire.Edit{Path: path, Repository: wire.Repository{
		StorageName: string(storage), RelativePath: relativePath,
	}}
}

// growth is how much the lengths and tags around new values can add to a message.
const growth = 64

// build makes a frame of what appends to a buffer, in a pooled one if the message is large.
func build(size int, write func(dst []byte) ([]byte, error)) (relay.Frame, error) {
	if mem.IsBelowBufferPoolingThreshold(size + growth) {
		message, err := write(make([]byte, 0, size+growth))
		return relay.NewFrame(mem.BufferSlice{mem.SliceBuffer(message)}), err
	}
	pool := mem.DefaultBufferPool()
	buffer := pool.Get(size + growth)
	message, err := write((*buffer)[:0])
	if err != nil {
		pool.Put(buffer)
		return relay.Frame{}, err
	}
	*buffer = message
	return relay.NewFrame(mem.BufferSlice{mem.NewBuffer(buffer, pool)}), nil
}
