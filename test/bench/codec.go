package main

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// rawCodec hands the bytes of a message through when it is given a *mem.BufferSlice, and encodes
// everything else as protobuf. So a null node spends nothing on messages that it does not look at.
type rawCodec struct{}

// Name makes the codec stand in for the usual one.
func (rawCodec) Name() string { return "proto" }

// Marshal encodes a message.
func (rawCodec) Marshal(value any) (mem.BufferSlice, error) {
	if raw, ok := value.(*mem.BufferSlice); ok {
		raw.Ref()

		return *raw, nil
	}

	message, ok := value.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("marshal %T: not a message", value)
	}

	content, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("marshal message: %w", err)
	}

	return mem.BufferSlice{mem.SliceBuffer(content)}, nil
}

// Unmarshal decodes a message. The receiver of raw bytes frees them.
func (rawCodec) Unmarshal(data mem.BufferSlice, value any) error {
	if raw, ok := value.(*mem.BufferSlice); ok {
		data.Ref()
		*raw = data

		return nil
	}

	message, ok := value.(proto.Message)
	if !ok {
		return fmt.Errorf("unmarshal %T: not a message", value)
	}

	if err := proto.Unmarshal(data.Materialize(), message); err != nil {
		return fmt.Errorf("unmarshal message: %w", err)
	}

	return nil
}
