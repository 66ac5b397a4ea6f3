package relay

import "google.golang.org/grpc/mem"

// Frame is one message as it is on the wire. It holds a reference to the buffers of the message
// from the moment when it is filled until Free; whoever owns the frame has to free it. The zero
// value is an empty message. A frame must not be copied except by [Frame.Share], and not be used
// by two goroutines at a time.
type Frame struct {
	data mem.BufferSlice
}

// NewFrame makes a frame of bytes. It takes over the caller's reference.
func NewFrame(data mem.BufferSlice) Frame { return Frame{data: data} }

// Len returns the number of bytes.
func (f *Frame) Len() int { return f.data.Len() }

// Data returns the bytes. They are the frame's and must neither be changed nor used after Free.
func (f *Frame) Data() mem.BufferSlice { return f.data }

// Share returns a second frame with the same bytes, which has to be freed on its own.
func (f *Frame) Share() Frame {
	f.data.Ref()
	return Frame{data: f.data}
}

// Free gives the bytes back. The frame is an empty message afterwards, so freeing it twice does
// no harm.
func (f *Frame) Free() {
	f.data.Free()
	f.data = nil
}
