package githttp

import (
	"errors"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// statusGone is logged for a client that left before the answer. It never reads it.
const statusGone = 499

// explain returns the HTTP status for an error and the text for the client.
func explain(err error) (code int, text string) {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.status, refused.text
	}
	if push, ok := errors.AsType[*pushError](err); ok {
		code, text = explain(push.err)
		return code, text + " (outcome of the push: " + push.outcome + ")"
	}
	if errors.Is(err, errGone) {
		return statusGone, err.Error()
	}
	if errors.Is(err, errClient) {
		return http.StatusBadRequest, err.Error()
	}
	s, ok := status.FromError(err)
	if !ok {
		return http.StatusInternalServerError, err.Error()
	}
	return httpStatus(s.Code()), s.Message()
}

// httpStatus maps the code of a call. A repository that is unknown, a permission that is
// missing and a cluster that is busy or short of nodes must look different to whoever pushes. A
// gateway that the cluster does not know is not the fault of the client, so Unauthenticated asks
// nobody for a password.
func httpStatus(code codes.Code) int {
	statuses := [...]int{
		codes.OK:                 http.StatusOK,
		codes.Canceled:           http.StatusServiceUnavailable,
		codes.Unknown:            http.StatusInternalServerError,
		codes.InvalidArgument:    http.StatusBadRequest,
		codes.DeadlineExceeded:   http.StatusGatewayTimeout,
		codes.NotFound:           http.StatusNotFound,
		codes.AlreadyExists:      http.StatusConflict,
		codes.PermissionDenied:   http.StatusForbidden,
		codes.ResourceExhausted:  http.StatusTooManyRequests,
		codes.FailedPrecondition: http.StatusConflict,
		codes.Aborted:            http.StatusConflict,
		codes.OutOfRange:         http.StatusBadRequest,
		codes.Unimplemented:      http.StatusNotImplemented,
		codes.Internal:           http.StatusInternalServerError,
		codes.Unavailable:        http.StatusServiceUnavailable,
		codes.DataLoss:           http.StatusInternalServerError,
		codes.Unauthenticated:    http.StatusBadGateway,
	}
	if int(code) >= len(statuses) {
		return http.StatusInternalServerError
	}
	return statuses[code]
}
