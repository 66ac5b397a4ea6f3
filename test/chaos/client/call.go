package client

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"praefect/proxy/auth"
	"praefect/test/chaos/history"
)

const (
	// outcomeKey is the trailer that tells what became of a write, outcomeNone its value for one
	// that surely did not happen.
	outcomeKey  = "praefect-outcome"
	outcomeNone = "none"

	policyKey   = "gitaly-route-repository-accessor-policy"
	policyValue = "primary-only"

	// callsPerConnection is how many calls a worker makes through one connection, and so one
	// proxy, before it makes another. It is not one: a frozen proxy would soon have all workers
	// waiting.
	callsPerConnection = 25
)

// connection is one through the balancer.
type connection struct {
	*grpc.ClientConn
	calls int
}

func (w *World) connect() (*connection, error) {
	conn, err := grpc.NewClient("passthrough:///"+w.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(auth.Credentials(w.Token, nil)),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			var dialer net.Dialer

			return dialer.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to balancer: %w", err)
	}

	return &connection{ClientConn: conn}, nil
}

// answer is what a call left behind beside its response.
type answer struct {
	trailer metadata.MD
	peer    peer.Peer
	// declined is why references of a push were not taken, by name; nil for other calls.
	declined report
	err      error
}

// options collect the answer.
func (a *answer) options() []grpc.CallOption {
	return []grpc.CallOption{grpc.Trailer(&a.trailer), grpc.Peer(&a.peer)}
}

func (a *answer) outcome() string {
	return strings.Join(a.trailer.Get(outcomeKey), ",")
}

// via names the proxy through which the call went.
func (a *answer) via(w *World) string {
	if a.peer.LocalAddr == nil {
		return ""
	}

	return w.Behind(a.peer.LocalAddr)
}

// result is what is known of one operation of the call.
func (a *answer) result(o history.Operation) history.Result {
	switch {
	case a.err != nil && a.outcome() == outcomeNone:
		return history.Refused
	case a.err != nil:
		return history.Unknown
	case a.declined == nil:
		return history.Acknowledged
	}
	reason, mentioned := a.declined[o.Key.Name]
	switch {
	case !mentioned:
		return history.Unknown
	case reason == "":
		return history.Acknowledged
	case a.outcome() == "unknown":
		return history.Unknown
	default:
		return history.Refused
	}
}

// detail is the text of the failure.
func (a *answer) detail() string {
	if a.err != nil {
		return fmt.Sprintf("%s [%s]", a.err, a.outcome())
	}
	for _, reason := range a.declined {
		if reason != "" {
			return reason + " [" + a.outcome() + "]"
		}
	}

	return ""
}

// verdict is how the call counts for availability.
func (a *answer) verdict() Verdict {
	detail := a.detail()
	switch {
	case detail == "":
		return Succeeded
	case strings.Contains(detail, "repository busy"), strings.Contains(detail, "is busy"):
		return Queued
	case slices.Contains([]codes.Code{
		codes.NotFound, codes.AlreadyExists, codes.InvalidArgument,
	}, status.Code(a.err)):
		return Declined
	case slices.Contains([]codes.Code{codes.OK, codes.FailedPrecondition}, status.Code(a.err)) &&
		!blames(detail):
		return Declined
	default:
		return Failed
	}
}

// blames tells whether a failure is not due to what was asked for: a vote was lost, which Git knows
// as a hook that refuses, or somebody has left a lock behind. Nodes tell of these with the same
// codes, and Git in the same way, as of references that have moved.
func blames(detail string) bool {
	return slices.ContainsFunc([]string{"vote", "hook", ".lock"}, func(sign string) bool {
		return strings.Contains(detail, sign)
	})
}

// invoke is a call: it makes the call with the options of the answer.
type invoke func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error

// write makes a call that changes registers and records it.
func (w *worker) write(
	ctx context.Context, method string, operations []history.Operation, call invoke,
) answer {
	repository := operations[0].Key.Repository
	start := w.world.recorder.Now()
	got := w.call(ctx, w.world.WriteDeadline, call)
	end := w.world.recorder.Now()

	number, via := w.world.recorder.Call(), got.via(w.world)
	for i := range operations {
		o := &operations[i]
		o.Action, o.Method, o.Call, o.Client, o.Via = history.Write, method, number, w.number, via
		o.Start, o.End, o.Result, o.Detail = start, end, got.result(*o), got.detail()
		o.Group = GroupOf(o.Key.Name)
	}
	w.world.recorder.Add(operations...)
	w.world.learn(operations)
	w.world.attempted(Attempt{
		Start: start, End: end, Via: via, Repository: repository, Method: method,
		Verdict: got.verdict(), Detail: got.detail(),
	})

	return got
}

func (w *World) attempted(a Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, a)
}

// look is a call that reads registers and returns what it saw.
type look func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) (
	[]history.Operation, error)

// read makes a call that reads registers, which returns what it saw, and records that.
func (w *worker) read(
	ctx context.Context, method string, primary bool, call look,
) error {
	if primary {
		ctx = metadata.AppendToOutgoingContext(ctx, policyKey, policyValue)
	}
	var seen []history.Operation
	start := w.world.recorder.Now()
	got := w.call(ctx, w.deadline,
		func(ctx context.Context, conn grpc.ClientConnInterface, to *answer) error {
			var err error
			seen, err = call(ctx, conn, to)

			return err
		})
	if got.err != nil {
		return got.err
	}

	end, number, via := w.world.recorder.Now(), w.world.recorder.Call(), got.via(w.world)
	for i := range seen {
		o := &seen[i]
		o.Action, o.Method, o.Call, o.Client, o.Via = history.Read, method, number, w.number, via
		o.Start, o.End, o.Result, o.Primary = start, end, history.Acknowledged, primary
		o.Group = GroupOf(o.Key.Name)
	}
	w.world.recorder.Add(seen...)
	w.world.learn(seen)

	return nil
}

// call makes a call on the worker's connection, and gives that up when it may be of no use any
// more.
func (w *worker) call(ctx context.Context, deadline time.Duration, call invoke) answer {
	// A call is not given up because the run ends: that would be one more unknown write.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	defer cancel()

	var got answer
	conn, err := w.connect()
	if err != nil {
		got.err = err

		return got
	}
	got.err = call(ctx, conn, &got)

	code := status.Code(got.err)
	late := code == codes.DeadlineExceeded && !w.patient
	if code == codes.Unavailable || late || got.peer.LocalAddr == nil {
		w.close()
	}

	return got
}
