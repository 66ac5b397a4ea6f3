package proxy

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// watchInterval is how often a watcher's answer is brought up to date.
const watchInterval = time.Second

// Ready says why calls cannot be served now, or nil. It must answer at once.
type Ready func() error

// health answers whether the server can serve. It knows no single services: whoever asks for one
// is told that there is none.
type health struct {
	healthpb.UnimplementedHealthServer
	ready Ready
	// stopped is closed when the server stops, which ends all watching.
	stopped <-chan struct{}
}

// Check answers once.
func (h *health) Check(
	_ context.Context, request *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	if request.GetService() != "" {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return h.answer(), nil
}

// List answers for the server as a whole.
func (h *health) List(
	context.Context, *healthpb.HealthListRequest,
) (*healthpb.HealthListResponse, error) {
	return &healthpb.HealthListResponse{
		Statuses: map[string]*healthpb.HealthCheckResponse{"": h.answer()},
	}, nil
}

// Watch answers at once and after each change.
func (h *health) Watch(
	request *healthpb.HealthCheckRequest,
	stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse],
) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	var last *healthpb.HealthCheckResponse
	for {
		answer := h.answer()
		if request.GetService() != "" {
			answer.Status = healthpb.HealthCheckResponse_SERVICE_UNKNOWN
		}
		if last == nil || last.GetStatus() != answer.GetStatus() {
			if err := stream.Send(answer); err != nil {
				return err //nolint:wrapcheck // a status
			}
			last = answer
		}
		select {
		case <-ticker.C:
		case <-stream.Context().Done():
			return stream.Context().Err() //nolint:wrapcheck // becomes a status
		case <-h.stopped:
			return status.Error(codes.Unavailable, "server is stopping")
		}
	}
}

func (h *health) answer() *healthpb.HealthCheckResponse {
	if h.ready() != nil {
		return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_NOT_SERVING}
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}
}
