package auth

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// Credentials returns the credentials for calls to a node with the given token. Each call gets
// a new signature at the time that now returns; the default is the system's clock. An empty
// token is signed with as well: a node without token ignores it. The credentials do not ask for
// TLS.
func Credentials(token string, now func() time.Time) credentials.PerRPCCredentials {
	if now == nil {
		now = time.Now
	}
	return &signer{token: token, now: now}
}

// signer signs calls.
type signer struct {
	token string
	now   func() time.Time
	last  atomic.Pointer[signed]
}

// signed is what authenticates the calls of one second: a signature covers nothing but the second.
type signed struct {
	second   int64
	metadata map[string]string
}

// GetRequestMetadata returns the metadata that authenticates one call. It must not be changed.
func (s *signer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	now := s.now()
	last := s.last.Load()
	if last == nil || last.second != now.Unix() {
		last = &signed{
			second:   now.Unix(),
			metadata: map[string]string{"authorization": issue(s.token, now)},
		}
		s.last.Store(last)
	}
	return last.metadata, nil
}

// RequireTransportSecurity tells that the signature may travel without TLS.
func (s *signer) RequireTransportSecurity() bool { return false }
