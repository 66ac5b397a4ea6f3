package proxy

import (
	"sync"

	"google.golang.org/grpc"
)

const (
	// strangersMax bounds the methods that are counted by name though the table does not have them:
	// those of newer nodes, and whatever else clients call, with a token or without one.
	strangersMax = 1000
	// strangerMax bounds such a name in bytes.
	strangerMax = 256
	// stranger is what the others are counted as.
	stranger = "/" + unknown + "/" + unknown
)

// strangers are methods that the table does not have. It may be used concurrently.
type strangers struct {
	methods Methods

	mu    sync.Mutex // guards the field below
	named map[string]struct{}
}

func newStrangers(methods Methods) *strangers {
	return &strangers{methods: methods, named: map[string]struct{}{}}
}

// label is the name under which a method is counted.
func (s *strangers) label(name string) string {
	if _, known := s.methods.Lookup(name); known {
		return name
	}
	if len(name) > strangerMax {
		return stranger
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, named := s.named[name]; !named && len(s.named) >= strangersMax {
		return stranger
	}
	s.named[name] = struct{}{}
	return name
}

// counted keeps an interceptor that counts calls by method from counting without bound. What comes
// after it is told the real name.
func (s *strangers) counted(count grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(
		server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
	) error {
		if label := s.label(info.FullMethod); label != info.FullMethod {
			changed := *info
			changed.FullMethod = label
			info = &changed
		}
		return count(server, stream, info, next)
	}
}
