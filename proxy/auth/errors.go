package auth

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failure is a reason to refuse a call. Its text is what the client sees.
type failure struct {
	code codes.Code
	// reason is the label of the metric; empty when the call carried nothing to check.
	reason string
	detail string
}

// Error returns the text that the client sees.
func (f *failure) Error() string {
	if f.code == codes.Unauthenticated {
		return "authentication required"
	}
	return "permission denied: " + f.reason + f.detail
}

// GRPCStatus makes the failure the status of the call.
func (f *failure) GRPCStatus() *status.Status { return status.New(f.code, f.Error()) }

func missing() *failure { return &failure{code: codes.Unauthenticated} }

func denied(reason, detail string) *failure {
	return &failure{code: codes.PermissionDenied, reason: reason, detail: detail}
}
