package auth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// exempt is the prefix of the methods that need no authentication.
const exempt = "/grpc.health.v1.Health/"

// Config configures a [Verifier].
type Config struct {
	// Token is the secret that clients share. When it is empty nobody is checked.
	Token string

	// Transitioning lets everybody in and only counts who would have been refused, so that a
	// token can be introduced step by step.
	Transitioning bool

	// Now is the clock; the default is the system's.
	Now func() time.Time
}

// Verifier checks the calls of clients.
type Verifier struct {
	config  Config
	known   known
	calls   *prometheus.CounterVec
	refused *prometheus.CounterVec
	// welcome returns what counts the usual result.
	welcome func() prometheus.Counter
}

// New returns a verifier whose metrics are registered with registerer. It fails when such
// metrics are registered there already.
func New(registerer prometheus.Registerer, config Config) (*Verifier, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	v := &Verifier{
		config: config,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_authentications_total",
			Help: "Calls by the result of their authentication.",
		}, []string{"enforced", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_authentication_errors_total",
			Help: "Failed authentications by reason.",
		}, []string{"version", "error"}),
	}
	err := errors.Join(registerer.Register(v.calls), registerer.Register(v.refused))
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	v.welcome = sync.OnceValue(func() prometheus.Counter { return v.counter(v.result(nil)) })
	return v, nil
}

// Unary is the interceptor for unary calls.
func (v *Verifier) Unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (any, error) {
	if err := v.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

// Stream is the interceptor for streaming calls.
func (v *Verifier) Stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
) error {
	if err := v.admit(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(server, stream)
}

// admit decides whether a call may go on. Its error is a status.
func (v *Verifier) admit(ctx context.Context, name string) error {
	if strings.HasPrefix(name, exempt) {
		return nil
	}
	if v.config.Token == "" {
		v.counter("server disabled authentication").Inc()
		return nil
	}
	failed := v.check(ctx)
	if failed == nil {
		v.welcome().Inc()
		return nil
	}
	v.counter(v.result(failed)).Inc()
	if v.config.Transitioning {
		return nil
	}
	return failed
}

// check looks at the first authorization of the call only.
func (v *Verifier) check(ctx context.Context) *failure {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return missing()
	}
	failed := v.known.verify(v.config.Token, values[0], v.config.Now())
	if failed != nil && failed.reason != "" {
		v.refused.WithLabelValues(version, failed.reason).Inc()
	}
	return failed
}

// result returns the label for the outcome of a check.
func (v *Verifier) result(failed *failure) string {
	switch {
	case failed == nil && v.config.Transitioning:
		return "would be ok"
	case failed == nil:
		return "ok"
	case failed.code == codes.Unauthenticated:
		return "unauthenticated"
	default:
		return "denied"
	}
}

func (v *Verifier) counter(result string) prometheus.Counter {
	return v.calls.WithLabelValues(strconv.FormatBool(!v.config.Transitioning), result)
}
