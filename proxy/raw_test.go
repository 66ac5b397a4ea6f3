package proxy_test

import (
	"errors"

	"google.golang.org/grpc/mem"
)

// raw is a message of any bytes.
type raw struct{ data []byte }

// rawCodec sends and receives raw messages.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(message any) (mem.BufferSlice, error) {
	r, ok := message.(*raw)
	if !ok {
		return nil, errors.New("not a raw message")
	}
	return mem.BufferSlice{mem.SliceBuffer(r.data)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, message any) error {
	r, ok := message.(*raw)
	if !ok {
		return errors.New("not a raw message")
	}
	r.data = data.Materialize()
	return nil
}
