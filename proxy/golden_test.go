package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
	"praefect/proxy/method"
	"praefect/proxy/native"
	"praefect/proxy/replicate"
)

// fact is a row of testdata/methods.txt: what the protocol says of a method, and what must happen.
type fact struct {
	name, operation, scope, stream, state, destination string
	rewritten, kept                                    []string
	votes, outcome                                     bool
}

// facts reads the rows.
func facts(t *testing.T) []fact {
	t.Helper()
	text, err := os.ReadFile("testdata/methods.txt")
	require.NoError(t, err)
	var all []fact
	for line := range strings.Lines(string(text)) {
		columns := strings.Fields(line)
		if len(columns) == 0 || columns[0] == "#" {
			continue
		}
		require.Len(t, columns, 10, line)
		all = append(all, fact{
			name: columns[0], operation: columns[1], scope: columns[2], stream: columns[3],
			state: columns[4], destination: columns[5],
			rewritten: list(columns[6]), kept: list(columns[7]),
			votes: columns[8] == "yes", outcome: columns[9] == "yes",
		})
	}
	return all
}

func list(column string) []string {
	if column == "-" {
		return nil
	}
	names := strings.Split(column, ",")
	slices.Sort(names)
	return names
}

// sighting is a call as a node has seen it.
type sighting struct {
	storage  string
	votes    bool
	metadata metadata.MD
	message  []byte
}

// sightings are the calls that came to nodes, by method.
type sightings struct {
	mu  sync.Mutex // guards all
	all map[string][]sighting
}

// see notes a call and answers with an empty message, which every method can.
func (s *sightings) see(name string) script {
	return func(v *visit) error {
		var first emptypb.Empty
		if err := v.RecvMsg(&first); err != nil {
			return err
		}
		seen, _ := metadata.FromIncomingContext(v.Context())
		s.mu.Lock()
		s.all[name] = append(s.all[name], sighting{
			storage: v.node.storage, votes: v.tx.ID != 0, metadata: seen,
			message: first.ProtoReflect().GetUnknown(),
		})
		s.mu.Unlock()
		return v.SendMsg(&emptypb.Empty{})
	}
}

// count tells how often a method was seen.
func (s *sightings) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all[name])
}

// take returns what was seen of a method, and forgets what was seen of all.
func (s *sightings) take(name string) []sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.all[name]
	clear(s.all)
	return taken
}

// golden is the cluster that every method is called on.
type golden struct {
	*cluster
	seen sightings
	// onDisk are the replica paths of the repositories that exist, by the clients' paths.
	onDisk map[string]string
	nextID coordinator.RepositoryID
}

// TestEveryMethod calls every method of the protocol on a real server with three real nodes, and
// compares who was given what with the facts: class, destinations, fields with another storage and
// path, fields that stay, and nothing else changed.
func TestEveryMethod(t *testing.T) {
	t.Parallel()
	g := newGolden(t)
	called := map[string]bool{}
	for _, want := range facts(t) {
		m, known := method.Builtin().Lookup("/gitaly." + want.name)
		require.True(t, known, want.name)
		called[m.Name] = true
		got := g.call(m, want)
		got.operation, got.scope = m.Operation.String(), m.Scope.String()
		got.stream = streamOf(m)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(fact{})); diff != "" {
			t.Errorf("%s: %s", want.name, diff)
		}
	}
	for m := range method.Builtin().All() {
		require.True(t, called[m.Name], "%s is not among the facts", m.Name)
	}
}

func streamOf(m *method.Method) string {
	switch {
	case m.ClientStream && m.ServerStream:
		return "bidi"
	case m.ClientStream:
		return "client"
	case m.ServerStream:
		return "server"
	}
	return "unary"
}

func newGolden(t *testing.T) *golden {
	t.Helper()
	g := &golden{
		seen: sightings{all: map[string][]sighting{}}, onDisk: map[string]string{}, nextID: 1000,
	}
	g.cluster = newCluster(t, func(s *settings) { s.own = own })
	for m := range method.Builtin().All() {
		g.onAll(m.Name, g.seen.see(m.Name))
	}
	return g
}

// own makes the services that the proxy answers itself.
func own(c *cluster) func(grpc.ServiceRegistrar) error {
	copier, err := replicate.New(c.pool)
	require.NoError(c.t, err)
	return native.New(native.Dependencies{
		Directory: c.coordinator, Router: c.coordinator, Nodes: c.pool, Disks: copier,
		Operations: c.coordinator,
	}, c.log).Register
}

// exist puts a repository into the metadata, on all nodes, the first of which is its primary.
func (g *golden) exist(path string) {
	g.t.Helper()
	g.nextID++
	incarnation, _ := g.alone.Incarnation()
	all := []coordinator.Storage{"node-1", "node-2", "node-3"}
	g.onDisk[path] = coordinator.ReplicaPath(g.nextID, path)
	require.NoError(g.t, g.store.Create(g.t.Context(), coordinator.Creation{
		ID:          g.nextID,
		Key:         coordinator.Key{VirtualStorage: virtualStorage, RelativePath: path},
		ReplicaPath: g.onDisk[path], Primary: all[0],
		Participants: all, Assigned: all, Incarnation: incarnation,
	}))
	require.NoError(g.t, g.store.Complete(g.t.Context(), g.nextID))
}

// goldenRequest is a first message in which every field that the facts name is set, each repository
// to another one.
type goldenRequest struct {
	*dynamicpb.Message
	// paths are the clients' paths by field.
	paths map[string]string
}

func (g *golden) request(m *method.Method, want fact) goldenRequest {
	g.t.Helper()
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(
		strings.ReplaceAll(strings.TrimPrefix(m.Name, "/"), "/", ".")))
	require.NoError(g.t, err)
	described, ok := descriptor.(protoreflect.MethodDescriptor)
	require.True(g.t, ok)
	request := goldenRequest{
		Message: dynamicpb.NewMessage(described.Input()), paths: map[string]string{},
	}
	names := append(slices.Clone(want.rewritten), want.kept...)
	if want.destination == "proxy" && m.Operation != method.OperationNone {
		names = []string{goldenName(described.Input(), slices.Concat(m.Target, m.Storage))}
	}
	for _, name := range names {
		g.fill(request, name, want)
	}
	return request
}

// fill sets one field. The repository that a call creates does not exist, all others do.
func (g *golden) fill(request goldenRequest, name string, want fact) {
	g.t.Helper()
	within, field := descend(request, name)
	switch {
	case field.Kind() == protoreflect.StringKind:
		within.Set(field, protoreflect.ValueOfString(virtualStorage))
		return
	case field.Message() == nil:
		within.Set(field, protoreflect.ValueOfUint64(7))
		return
	}
	path := fmt.Sprintf("%s/%s/%s.git", want.name, want.state, name)
	if strings.HasPrefix(name, "object_pool") {
		path = fmt.Sprintf("@pools/ab/cd/abcd%060x.git", g.nextID)
	}
	request.paths[name] = path
	target, _ := method.Builtin().Lookup("/gitaly." + want.name)
	if want.state != "new" || name != goldenName(request.Descriptor(), target.Target) {
		g.exist(path)
	}
	within.Set(field, protoreflect.ValueOfMessage((&gitalypb.Repository{
		StorageName: virtualStorage, RelativePath: path, GlRepository: "project-1",
		GitAlternateObjectDirectories: []string{"objects"}, GlProjectPath: "group/project",
	}).ProtoReflect()))
}

// descend finds a field by its name, making the messages around it.
func descend(
	message protoreflect.Message, name string,
) (protoreflect.Message, protoreflect.FieldDescriptor) {
	for {
		part, rest, more := strings.Cut(name, ".")
		field := message.Descriptor().Fields().ByName(protoreflect.Name(part))
		if !more {
			return message, field
		}
		message, name = message.Mutable(field).Message(), rest
	}
}

// goldenName turns field numbers into a name.
func goldenName(message protoreflect.MessageDescriptor, path method.Path) string {
	var names []string
	for _, number := range path {
		field := message.Fields().ByNumber(protoreflect.FieldNumber(number))
		names, message = append(names, string(field.Name())), field.Message()
	}
	return strings.Join(names, ".")
}

// call calls a method and returns what has happened, as the facts put it.
func (g *golden) call(m *method.Method, want fact) fact {
	g.t.Helper()
	got := fact{name: want.name, state: want.state}
	request := g.request(m, want)
	trailer, err := g.invoke(m.Name, request)
	got.outcome = len(trailer.Get("praefect-outcome")) == 1
	if err == nil && want.destination == "all" {
		// A push without commands is answered without waiting for secondaries.
		require.Eventually(g.t, func() bool { return g.seen.count(m.Name) == len(g.nodes) },
			patience, patience/10000, want.name)
	}
	all := g.seen.take(m.Name)
	switch {
	case m.Operation == method.OperationNone:
		// What the services of the proxy ask nodes for has tests of its own.
		got.destination = "proxy"
		return got
	case len(all) == 0 && err != nil:
		got.destination = status.Code(err).String()
		return got
	}
	require.NoError(g.t, err, want.name)
	got.destination = destination(m, all)
	for i, seen := range all {
		rewritten, kept := g.compare(request, seen, want)
		if i > 0 {
			require.Equal(g.t, got.rewritten, rewritten, "%s: to %s", want.name, seen.storage)
		}
		got.rewritten, got.kept, got.votes = rewritten, kept, seen.votes
		if !m.Local {
			require.Equal(g.t, []string{"7"}, seen.metadata.Get("user_id"), want.name)
			require.Contains(g.t, seen.metadata.Get("virtual_storage"), virtualStorage, want.name)
			require.Len(g.t, seen.metadata.Get("authorization"), 1, want.name)
		}
	}
	return got
}

// invoke makes a call of one message and reads all answers.
func (g *golden) invoke(name string, request proto.Message) (metadata.MD, error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(
		metadata.AppendToOutgoingContext(g.t.Context(), "user_id", "7"), patience)
	defer cancel()
	stream, err := g.client.NewStream(ctx,
		&grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, name)
	require.NoError(g.t, err)
	if err := stream.SendMsg(request); !errors.Is(err, io.EOF) {
		// After that end the call was refused already, and receiving tells why.
		require.NoError(g.t, err)
	}
	require.NoError(g.t, stream.CloseSend())
	for err == nil {
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return stream.Trailer(), err
}

// destination says who was given a call.
func destination(m *method.Method, all []sighting) string {
	var storages []string
	for _, seen := range all {
		storages = append(storages, seen.storage)
	}
	slices.Sort(storages)
	switch {
	case len(all) == 0:
		return "proxy"
	case slices.Equal(storages, []string{"node-1", "node-2", "node-3"}):
		return "all"
	case len(all) == 1 && m.PrimaryOnly && storages[0] == "node-1":
		return "primary"
	case len(all) == 1 && !m.PrimaryOnly:
		return "one"
	}
	return strings.Join(storages, "+")
}

// compare says which fields of a message a node has seen with its own storage and path, and which
// as they were sent. Everything else must be as it was sent.
func (g *golden) compare(
	request goldenRequest, seen sighting, want fact,
) (rewritten, kept []string) {
	g.t.Helper()
	message := dynamicpb.NewMessage(request.Descriptor())
	require.NoError(g.t, proto.Unmarshal(seen.message, message), want.name)
	for _, name := range append(slices.Clone(want.rewritten), want.kept...) {
		sent, field := descend(request, name)
		received, _ := descend(message, name)
		if received.Get(field).Equal(sent.Get(field)) {
			kept = append(kept, name)
			continue
		}
		rewritten = append(rewritten, name)
		if field.Kind() == protoreflect.StringKind {
			require.Equal(g.t, seen.storage, received.Get(field).String(), want.name)
		} else {
			g.requireReplica(received.Get(field).Message(), request.paths[name], seen.storage)
		}
		restore(received, sent, field)
	}
	if target, _ := method.Builtin().Lookup("/gitaly." + want.name); target.Local {
		// The proxy asks in its own words.
		return rewritten, kept
	}
	require.Empty(g.t, cmp.Diff(request.Interface(), message.Interface(),
		cmp.Comparer(proto.Equal)), want.name)
	slices.Sort(rewritten)
	slices.Sort(kept)
	return rewritten, kept
}

// requireReplica asserts that a repository is named as its node knows it.
func (g *golden) requireReplica(repository protoreflect.Message, path, storage string) {
	g.t.Helper()
	fields := repository.Descriptor().Fields()
	require.Equal(g.t, storage, repository.Get(fields.ByName("storage_name")).String(), path)
	onDisk := repository.Get(fields.ByName("relative_path")).String()
	if _, exists := g.onDisk[path]; !exists {
		created := g.state(path)
		require.Equal(g.t, coordinator.ReplicaPath(created.ID, path), created.ReplicaPath)
		g.onDisk[path] = created.ReplicaPath
	}
	require.Equal(g.t, g.onDisk[path], onDisk, path)
}

// restore puts back what was rewritten.
func restore(received, sent protoreflect.Message, field protoreflect.FieldDescriptor) {
	if field.Message() == nil {
		received.Set(field, sent.Get(field))
		return
	}
	inner := received.Get(field).Message()
	for _, name := range []protoreflect.Name{"storage_name", "relative_path"} {
		text := inner.Descriptor().Fields().ByName(name)
		from := sent.Get(field).Message()
		inner.Set(text, from.Get(from.Descriptor().Fields().ByName(name)))
	}
}
