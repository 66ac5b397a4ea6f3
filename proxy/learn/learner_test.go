package learn_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/learn"
	"praefect/proxy/learn/learntest"
	"praefect/proxy/method"
)

const service = "/gitaly.ExtraService/"

// TestLearn reads each method of the extra service.
func TestLearn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a")
	c[0].Describe(t, learntest.Extra(t))
	learner := c.learner(t, learn.Config{})
	mutator := method.Method{
		Operation: method.Mutator, Scope: method.ScopeRepository, Target: method.Path{1},
		Kind: method.KindObjects, Transactional: true, Verify: true,
		Turn: method.TurnBeforeDispatch,
	}
	upload := mutator
	upload.ClientStream, upload.Turn = true, method.TurnAtPrepared
	pool := upload
	pool.ServerStream = true
	pool.Target, pool.Additional = method.Path{1, 4, 1}, method.Path{1, 6}
	for name, want := range map[string]method.Method{
		"Look": {
			Operation: method.Accessor, Scope: method.ScopeRepository, Target: method.Path{1},
			Sidechannel: true,
		},
		"List": {
			Operation: method.Accessor, Scope: method.ScopeRepository, Target: method.Path{1},
			ServerStream: true,
		},
		"Change": mutator,
		"Upload": upload,
		"Pool":   pool,
		"Tidy": {
			Operation: method.Maintenance, Scope: method.ScopeRepository, Target: method.Path{1},
		},
		"Disk": {
			Operation: method.Accessor, Scope: method.ScopeStorage, Storage: method.Path{1},
			Sidechannel: true,
		},
	} {
		want.Name = service + name
		got, err := learner.Learn(t.Context(), want.Name)
		require.NoError(t, err, name)
		require.Empty(t, cmp.Diff(&want, got), name)
	}
	for _, name := range []string{
		"Unmarked", "Ambiguous", "Listed", "Number", "NumberedDisk", "Unknown", "Unclassified",
		"Nothing", "Compare", "CompareAll",
	} {
		_, err := learner.Learn(t.Context(), service+name)
		require.ErrorIs(t, err, learn.ErrUnknown, name)
		require.ErrorContains(t, err, service+name)
	}
	require.Equal(t, 1, c[0].Asked(), "all at once")
}

// TestLearnOnce has many calls share one question.
func TestLearnOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b")
	for _, n := range c {
		n.Describe(t, learntest.Extra(t))
	}
	learner := c.learner(t, learn.Config{Timeout: patience})
	begun, release := make(chan struct{}, 1), make(chan struct{})
	c[0].holding(func(ctx context.Context) error {
		begun <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			_, err := learner.Learn(t.Context(), service+"Look")
			assert.NoError(t, err)
		})
	}
	<-begun
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := learner.Learn(impatient, service+"Look")
	require.ErrorIs(t, err, context.Canceled, "one who leaves does not end the others' question")
	close(release)
	calls.Wait()
	require.Equal(t, 1, c[0].Asked())
	require.Equal(t, 1, c[1].Asked())
}

// TestUpgrade asks a node again when it has a new connection, and only then.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b")
	learner := c.learner(t, learn.Config{})
	for range 3 {
		_, err := learner.Learn(t.Context(), service+"Look")
		require.ErrorIs(t, err, learn.ErrUnknown, "nodes without reflection")
	}
	require.Equal(t, 1, c[0].Asked())

	c[0].Describe(t, learntest.Extra(t))
	_, err := learner.Learn(t.Context(), service+"Look")
	require.ErrorIs(t, err, learn.ErrUnknown, "the same connection, the same node")
	c[0].connections.Add(1)
	_, err = learner.Learn(t.Context(), service+"Look")
	require.NoError(t, err)

	c[0].Describe(t)
	c[0].connections.Add(1)
	_, err = learner.Learn(t.Context(), service+"Look")
	require.ErrorIs(t, err, learn.ErrUnknown, "taken back")
	require.Equal(t, 3, c[0].Asked())
	require.Equal(t, 1, c[1].Asked(), "the other is the same")
}

// TestDisagreement has nodes of two versions call the same method by different classes.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	c[0].Describe(t, learntest.Extra(t))
	c[1].Describe(t, learntest.Parse(t, `
		name: "other.proto" package: "gitaly" syntax: "proto3"
		dependency: "lint.proto" dependency: "shared.proto"
		message_type {
			name: "ExtraRequest"
			field {
				name: "r" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE
				type_name: ".gitaly.Repository" options { [gitaly.target_repository]: true }
			}
		}
		service {
			name: "ExtraService"
			method {
				name: "Look" input_type: ".gitaly.ExtraRequest"
				output_type: ".gitaly.ExtraRequest"
				options { [gitaly.op_type] { op: MUTATOR } }
			}
			method {
				name: "Change" input_type: ".gitaly.ExtraRequest"
				output_type: ".gitaly.ExtraRequest"
				options { [gitaly.op_type] { op: ACCESSOR } }
			}
		}`))
	learner := c.learner(t, learn.Config{})
	for _, name := range []string{"Look", "Change"} {
		m, err := learner.Learn(t.Context(), service+name)
		require.NoError(t, err)
		require.Equal(t, method.Mutator, m.Operation, name)
	}
}

// TestNodesThatFail neither hide what others know nor are waited for twice.
func TestNodesThatFail(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b")
	learner := c.learner(t, learn.Config{Timeout: patience, Retry: time.Hour})
	fail := func(context.Context) error { return status.Error(codes.Internal, "broken") }
	c[0].holding(fail)
	c[1].holding(fail)
	_, err := learner.Learn(t.Context(), service+"Look")
	require.ErrorIs(t, err, learn.ErrUnreachable)

	c[1].holding(func(context.Context) error { return nil })
	c[1].Describe(t, learntest.Extra(t))
	c[1].connections.Add(1)
	_, err = learner.Learn(t.Context(), service+"Look")
	require.NoError(t, err)
	_, err = learner.Learn(t.Context(), service+"Nothing")
	require.ErrorIs(t, err, learn.ErrUnknown)
	require.ErrorContains(t, err, "not by the 1 of 2 nodes that could be asked")

	c[1].holding(fail)
	c[1].connections.Add(1)
	_, err = learner.Learn(t.Context(), service+"Look")
	require.NoError(t, err, "what it said before counts")
}

// TestNodeThatHangs is waited for once, for a bounded time.
func TestNodeThatHangs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a")
	asked := make(chan struct{}, 2)
	c[0].holding(func(ctx context.Context) error {
		asked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	learner := c.learner(t, learn.Config{Timeout: 50 * time.Millisecond, Retry: time.Hour})
	for range 2 {
		_, err := learner.Learn(t.Context(), service+"Look")
		require.ErrorIs(t, err, learn.ErrUnreachable)
	}
	require.LessOrEqual(t, len(asked), 1)
}

// TestOldAnswers are renewed without anybody waiting.
func TestOldAnswers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a")
	learner := c.learner(t, learn.Config{MaxAge: time.Nanosecond})
	_, err := learner.Learn(t.Context(), service+"Look")
	require.ErrorIs(t, err, learn.ErrUnknown)
	c[0].Describe(t, learntest.Extra(t))
	require.Eventually(t, func() bool {
		_, err := learner.Learn(t.Context(), service+"Look")
		return err == nil
	}, patience, time.Millisecond)
}

// TestBounds refuses a node that tells too much.
func TestBounds(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]learn.Config{
		"bytes": {Bytes: 100}, "services": {Services: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a")
			c[0].Describe(t, learntest.Extra(t), learntest.Parse(t,
				`name: "second.proto" package: "gitaly" service { name: "SecondService" }`))
			_, err := c.learner(t, config).Learn(t.Context(), service+"Look")
			require.ErrorIs(t, err, learn.ErrUnreachable)
		})
	}
	for _, config := range []learn.Config{
		{Timeout: -1}, {MaxAge: -1}, {Retry: -1}, {Bytes: -1}, {Services: -1},
	} {
		_, err := learn.New(cluster{}, nil, nil, config)
		require.ErrorIs(t, err, learn.ErrInvalidConfig)
	}
}

// TestClose ends questions under way; later calls go on with what is known.
func TestClose(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a")
	learner := c.learner(t, learn.Config{Timeout: time.Hour})
	begun := make(chan struct{})
	c[0].holding(func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() })
	failed := make(chan error, 1)
	go func() {
		_, err := learner.Learn(t.Context(), service+"Look")
		failed <- err
	}()
	<-begun
	require.NoError(t, learner.Close())
	require.ErrorIs(t, <-failed, learn.ErrUnreachable)
	c[0].connections.Add(1)
	_, err := learner.Learn(t.Context(), service+"Look")
	require.ErrorIs(t, err, learn.ErrUnreachable)
}

// TestSameAddress asks a node with several storages once.
func TestSameAddress(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b")
	c[1].Address = c[0].Address
	learner := c.learner(t, learn.Config{})
	_, err := learner.Learn(t.Context(), strings.TrimSuffix(service, "/"))
	require.ErrorIs(t, err, learn.ErrUnknown)
	require.Equal(t, 1, c[0].Asked()+c[1].Asked())
}
