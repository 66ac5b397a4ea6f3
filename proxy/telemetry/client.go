package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/method"
	"praefect/proxy/relay"
)

// methodsMax bounds the methods that are measured apart; nodes have some 170.
const methodsMax = 1000

// codesMax is the number of codes that a call can end with.
const codesMax = int(codes.Unauthenticated) + 1

// Clients measures the calls that this process makes. Safe for concurrent use.
type Clients struct {
	started, handled, received, sent *prometheus.CounterVec
	seconds                          *prometheus.HistogramVec

	known atomic.Pointer[map[methodKind]*called]
	mu    sync.Mutex // orders the replacements of known
}

type methodKind struct{ method, kind string }

// called is what counts the calls of one method.
type called struct {
	clients                 *Clients
	labels                  []string
	started, received, sent prometheus.Counter
	seconds                 prometheus.Observer
	// handled are made with the first call that ends so.
	handled [codesMax]atomic.Pointer[prometheus.Counter]
}

// NewClients registers what calls to nodes are measured by, with the upper bounds in seconds of the
// histogram of their time.
func NewClients(registerer prometheus.Registerer, buckets []float64) (*Clients, error) {
	labels := []string{"grpc_type", "grpc_service", "grpc_method"}
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_client_" + name + "_total", Help: help,
		}, append(slices.Clip(labels), more...))
	}
	c := &Clients{
		started:  counter("started", "Calls to nodes that were started"),
		handled:  counter("handled", "Calls to nodes that have ended, by code", "grpc_code"),
		received: counter("msg_received", "Messages received from nodes"),
		sent:     counter("msg_sent", "Messages sent to nodes"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "grpc_client_handling_seconds",
			Help:    "Time from the start of calls to nodes to their end",
			Buckets: buckets,
		}, labels),
	}
	c.known.Store(&map[methodKind]*called{})
	for _, collector := range []prometheus.Collector{
		c.started, c.handled, c.received, c.sent, c.seconds,
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return c, nil
}

// DialOptions makes connections be measured.
func (c *Clients) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(c.unary), grpc.WithChainStreamInterceptor(c.stream),
	}
}

//nolint:revive // The signature is the library's.
func (c *Clients) unary(
	ctx context.Context, name string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	_, relayed := request.(*relay.Frame)
	m := c.of(methodKind{name, method.StreamType(relayed, relayed)})
	m.started.Inc()
	m.sent.Inc()
	begun := time.Now()
	err := invoke(ctx, name, request, reply, conn, options...)
	if err == nil {
		m.received.Inc()
	}
	m.ended(begun, err)
	return err
}

//nolint:revive // The signature is the library's.
func (c *Clients) stream(
	ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, name string,
	open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	m := c.of(methodKind{name, typeOf(description)})
	m.started.Inc()
	begun := time.Now()
	stream, err := open(ctx, description, conn, name, options...)
	if err != nil {
		m.ended(begun, err)
		return nil, err
	}
	return &measured{ClientStream: stream, called: m, begun: begun}, nil
}

// typeOf tells the type of a stream, as grpc_type. All relayed calls are of one type, as on the
// server's side; the relay's streams have no name.
func typeOf(description *grpc.StreamDesc) string {
	relayed := description.StreamName == ""
	return method.StreamType(
		relayed || description.ClientStreams, relayed || description.ServerStreams)
}

// measured is a stream whose messages and end are counted.
type measured struct {
	grpc.ClientStream
	called *called
	begun  time.Time
	over   atomic.Bool
}

// SendMsg implements grpc.ClientStream.
func (m *measured) SendMsg(message any) error {
	err := m.ClientStream.SendMsg(message)
	if err == nil {
		m.called.sent.Inc()
	}
	return err //nolint:wrapcheck // a status
}

// RecvMsg implements grpc.ClientStream.
func (m *measured) RecvMsg(message any) error {
	err := m.ClientStream.RecvMsg(message)
	switch {
	case err == nil:
		m.called.received.Inc()
	case m.over.Swap(true):
	case errors.Is(err, io.EOF):
		m.called.ended(m.begun, nil)
	default:
		m.called.ended(m.begun, err)
	}
	return err //nolint:wrapcheck // a status
}

func (m *called) ended(begun time.Time, err error) {
	m.seconds.Observe(time.Since(begun).Seconds())
	code := status.Code(err)
	if int(code) >= codesMax {
		code = codes.Unknown
	}
	counter := m.handled[code].Load()
	if counter == nil {
		made := m.clients.handled.WithLabelValues(append(m.labels, code.String())...)
		counter = &made
		m.handled[code].Store(counter)
	}
	(*counter).Inc()
}

func (c *Clients) of(kind methodKind) *called {
	if found, ok := (*c.known.Load())[kind]; ok {
		return found
	}
	return c.learn(kind)
}

func (c *Clients) learn(kind methodKind) *called {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *c.known.Load()
	if found, ok := known[kind]; ok {
		return found
	}
	if len(known) >= methodsMax {
		kind.method = "/other/other"
		if found, ok := known[kind]; ok {
			return found
		}
	}
	service, name, _ := method.Split(kind.method)
	labels := []string{kind.kind, service, name}
	made := &called{
		clients: c, labels: slices.Clip(labels),
		started:  c.started.WithLabelValues(labels...),
		received: c.received.WithLabelValues(labels...),
		sent:     c.sent.WithLabelValues(labels...),
		seconds:  c.seconds.WithLabelValues(labels...),
	}
	more := maps.Clone(known)
	more[kind] = made
	c.known.Store(&more)
	return made
}
