package proxy

import (
	"errors"
	"io"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"praefect/coordinator"
	"praefect/proxy/method"
	"praefect/proxy/relay"
	"praefect/proxy/wire"
)

// call is a call that has arrived: its first message was received and says what it is for.
type call struct {
	stream grpc.ServerStream
	method *method.Method
	visit  *visit

	// first owns the first message, of which message is the bytes.
	first   relay.Frame
	message []byte

	// key is the repository, or only the virtual storage of a call about a whole storage.
	key coordinator.Key
	// commands is the same stream as stream if the call is a push, and nil otherwise.
	commands *commands
	// additional is the second repository that the message names, nil if it does not.
	additional *coordinator.Key
}

// arrive receives the first message and finds out what the call is for. The caller owns the
// first message of what it gets.
func (h *Handler) arrive(stream grpc.ServerStream, called *method.Method) (*call, error) {
	c := &call{stream: stream, method: called, visit: visitFrom(stream.Context())}
	err := stream.RecvMsg(&c.first)
	if errors.Is(err, io.EOF) {
		return nil, ErrNoMessage
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // a status
	}
	c.join()
	if called.Scope == method.ScopeStorage {
		err = c.locateStorage()
	} else {
		err = c.locateRepository()
	}
	if err != nil {
		c.first.Free()
		return nil, err
	}
	if called.ReceivePack {
		c.commands = watchCommands(c)
		c.stream = c.commands
	}
	return c, nil
}

// join makes the first message one piece, as which it nearly always arrives.
func (c *call) join() {
	data := c.first.Data()
	if len(data) > 1 {
		joined := data.MaterializeToBuffer(mem.DefaultBufferPool())
		c.first.Free()
		data = mem.BufferSlice{joined}
		c.first = relay.NewFrame(data)
	}
	if len(data) == 1 {
		c.message = data[0].ReadOnlyData()
	}
}

// locateStorage finds the virtual storage.
func (c *call) locateStorage() error {
	if len(c.method.Storage) == 0 {
		return ErrTargetStorageNotSet
	}
	name, err := wire.LocateString(c.message, c.method.Storage)
	if err != nil {
		return inField(c.method, c.method.Storage, err)
	}
	if name == "" {
		return ErrTargetStorageNotSet
	}
	c.key.VirtualStorage = coordinator.VirtualStorage(name)
	c.visit.add(zap.String("virtual_storage", name))
	return nil
}

// locateRepository finds the repository, and the second one if there is any.
func (c *call) locateRepository() error {
	target, _, err := wire.Locate(c.message, c.method.Target)
	if err != nil {
		return inField(c.method, c.method.Target, err)
	}
	switch {
	case target.StorageName == "" && target.RelativePath == "":
		return ErrRepositoryNotSet
	case target.StorageName == "":
		return ErrStorageNotSet
	case target.RelativePath == "":
		return ErrPathNotSet
	}
	c.key = keyOf(target)
	c.visit.add(zap.Inline(c.key))
	return c.locateAdditional()
}

func (c *call) locateAdditional() error {
	if len(c.method.Additional) == 0 {
		return nil
	}
	additional, present, err := wire.Locate(c.message, c.method.Additional)
	if err != nil {
		return inField(c.method, c.method.Additional, err)
	}
	if !present {
		return nil
	}
	key := keyOf(additional)
	if key.VirtualStorage != c.key.VirtualStorage {
		return ErrAdditionalElsewhere
	}
	c.additional = &key
	return nil
}

func keyOf(r wire.Repository) coordinator.Key {
	return coordinator.Key{
		VirtualStorage: coordinator.VirtualStorage(r.StorageName), RelativePath: r.RelativePath,
	}
}

// relayCall is what the relay has to know.
func (c *call) relayCall() relay.Call {
	return relay.Call{
		Method:        c.method.Name,
		ClientStreams: c.method.ClientStream,
		ServerStreams: c.method.ServerStream,
	}
}

// routing turns the error of a decision into what the client is told about its request.
func routing(err error) error {
	if errors.Is(err, coordinator.ErrUnknownVirtualStorage) {
		return ErrStorageNotFound
	}
	return err
}
