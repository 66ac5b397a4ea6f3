package node

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"praefect/hooks"
	"praefect/hooks/node/disk"
)

var (
	// ErrNotConfigured says that a field of Config must be set and is not.
	ErrNotConfigured = errors.New("not configured")

	// ErrUnstable says that a repository changed again and again while it was copied.
	ErrUnstable = errors.New("source keeps changing")
)

// failure is an error with the code that the caller shall get. Wrapping it keeps the code.
type failure struct {
	code   codes.Code
	err    error
	detail protoadapt.MessageV1
}

// fail gives an error a code.
func fail(code codes.Code, err error) error { return &failure{code: code, err: err} }

// failf makes an error with a code.
func failf(code codes.Code, format string, args ...any) error {
	return &failure{code: code, err: fmt.Errorf(format, args...)}
}

// Error implements error.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the error without the code.
func (f *failure) Unwrap() error { return f.err }

// GRPCStatus is what gRPC asks for.
func (f *failure) GRPCStatus() *status.Status {
	plain := status.New(f.code, f.Error())
	if f.detail == nil {
		return plain
	}
	detailed, err := plain.WithDetails(f.detail)
	if err != nil {
		return plain // A detail that cannot be encoded is better left out than the answer.
	}

	return detailed
}

// codeTable gives errors of other packages their codes.
func codeTable() []struct {
	err  error
	code codes.Code
} {
	return []struct {
		err  error
		code codes.Code
	}{
		{disk.ErrInvalidPath, codes.InvalidArgument},
		{disk.ErrExists, codes.AlreadyExists},
		{disk.ErrLocked, codes.Aborted},
		{ErrUnstable, codes.Aborted},
		{hooks.ErrAborted, codes.Aborted},
		{hooks.ErrStopped, codes.FailedPrecondition},
	}
}

// abortedText replaces the text of everything that is aborted: users see it.
const abortedText = "The operation could not be completed. Please try again."

// statusOf returns what a caller is told. Errors that nobody gave a code are Internal, unless the
// call was cancelled meanwhile and they are its consequence.
func statusOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}

	told, ok := status.FromError(err)
	if !ok {
		told = status.New(codeOf(ctx, err), err.Error())
	}
	if told.Code() != codes.Aborted {
		return told.Err()
	}

	rewritten := told.Proto()
	rewritten.Message = abortedText

	return status.ErrorProto(rewritten)
}

func codeOf(ctx context.Context, err error) codes.Code {
	for _, entry := range codeTable() {
		if errors.Is(err, entry.err) {
			return entry.code
		}
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Code()
	}

	return codes.Internal
}
