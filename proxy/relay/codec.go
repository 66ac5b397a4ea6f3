package relay

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec passes a [Frame] as it is and everything else as protobuf, so that one server and one
// connection serve relayed and decoded messages alike. Create it with [NewCodec]. It may be used
// concurrently.
type Codec struct {
	protobuf encoding.CodecV2
}

// NewCodec returns the codec.
func NewCodec() Codec {
	return Codec{protobuf: encoding.GetCodecV2(proto.Name)}
}

// Marshal returns the bytes of a message. Of a [Frame] it returns a further reference, which the
// library frees when it has sent the bytes; the caller's own stays with the caller.
func (c Codec) Marshal(message any) (mem.BufferSlice, error) {
	frame, relayed := message.(*Frame)
	if !relayed {
		data, err := c.protobuf.Marshal(message)
		if err != nil {
			return nil, fmt.Errorf("marshal %T: %w", message, err)
		}
		return data, nil
	}
	frame.data.Ref()
	return frame.data, nil
}

// Unmarshal reads a message. Into a [Frame] it puts a reference to the bytes, in place of what
// the frame held before.
func (c Codec) Unmarshal(data mem.BufferSlice, message any) error {
	frame, relayed := message.(*Frame)
	if !relayed {
		if err := c.protobuf.Unmarshal(data, message); err != nil {
			return fmt.Errorf("unmarshal %T: %w", message, err)
		}
		return nil
	}
	data.Ref()
	frame.Free()
	frame.data = data
	return nil
}

// Name returns the name of the protobuf codec, because that is what is on the wire.
func (Codec) Name() string { return proto.Name }
