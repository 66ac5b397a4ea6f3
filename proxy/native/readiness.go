package native

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"praefect/proxy/gitalypb"
)

// readinessWait bounds all checks of a readiness call that names no time.
const readinessWait = 10 * time.Second

// ReadinessCheck runs all checks at the same time. It never fails; it tells which checks did.
func (s servers) ReadinessCheck(
	ctx context.Context, request *gitalypb.ReadinessCheckRequest,
) (*gitalypb.ReadinessCheckResponse, error) {
	wait := readinessWait
	if asked := request.GetTimeout().AsDuration(); asked > 0 {
		wait = asked
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	failed := runChecks(ctx, s.Readiness)
	if len(failed) == 0 {
		return &gitalypb.ReadinessCheckResponse{Result: &gitalypb.ReadinessCheckResponse_OkResponse{
			OkResponse: &gitalypb.ReadinessCheckResponse_Ok{},
		}}, nil
	}
	return &gitalypb.ReadinessCheckResponse{
		Result: &gitalypb.ReadinessCheckResponse_FailureResponse{
			FailureResponse: &gitalypb.ReadinessCheckResponse_Failure{FailedChecks: failed},
		},
	}, nil
}

func runChecks(
	ctx context.Context, checks map[string]func(context.Context) error,
) []*gitalypb.ReadinessCheckResponse_Failure_Response {
	var (
		mu      sync.Mutex // guards failed
		failed  []*gitalypb.ReadinessCheckResponse_Failure_Response
		running sync.WaitGroup
	)
	for name, check := range checks {
		running.Go(func() {
			err := check(ctx)
			if err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, &gitalypb.ReadinessCheckResponse_Failure_Response{
				Name: name, ErrorMessage: err.Error(),
			})
		})
	}
	running.Wait()
	slices.SortFunc(failed, func(a, b *gitalypb.ReadinessCheckResponse_Failure_Response) int {
		return cmp.Compare(a.GetName(), b.GetName())
	})
	return failed
}
