// Package learntest makes nodes of tests that describe services which no table knows.
package learntest

import (
	_ "embed"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "praefect/proxy/gitalypb" // the files that descriptions import
)

//go:embed extra.txtpb
var extra string

// Extra describes gitaly.ExtraService: a method of each kind, and some that cannot be carried.
func Extra(tb testing.TB) protoreflect.FileDescriptor {
	tb.Helper()
	return Parse(tb, extra)
}

// Parse reads a description from the text of a FileDescriptorProto.
func Parse(tb testing.TB, text string) protoreflect.FileDescriptor {
	tb.Helper()
	described := &descriptorpb.FileDescriptorProto{}
	require.NoError(tb, prototext.Unmarshal([]byte(text), described))
	file, err := protodesc.NewFile(described, protoregistry.GlobalFiles)
	require.NoError(tb, err)
	return file
}

// Reflection is a reflection service that tells whatever it was given last. At first it is that of
// a node that has none. It may be used concurrently.
type Reflection struct {
	reflectionpb.UnimplementedServerReflectionServer

	current atomic.Pointer[reflectionpb.ServerReflectionServer]
	asked   atomic.Int64
}

// Describe exchanges what is told.
func (r *Reflection) Describe(tb testing.TB, files ...protoreflect.FileDescriptor) {
	tb.Helper()
	told := described{}
	require.NoError(tb, told.all(files))
	server := reflection.NewServerV1(reflection.ServerOptions{
		Services: told, DescriptorResolver: told,
	})
	r.current.Store(&server)
}

// Asked counts the conversations.
func (r *Reflection) Asked() int { return int(r.asked.Load()) }

// ServerReflectionInfo implements the service.
func (r *Reflection) ServerReflectionInfo(
	stream grpc.BidiStreamingServer[
		reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse],
) error {
	r.asked.Add(1)
	server := r.current.Load()
	if server == nil {
		return status.Error(codes.Unimplemented, "no reflection")
	}
	if err := (*server).ServerReflectionInfo(stream); err != nil {
		return fmt.Errorf("reflect: %w", err)
	}
	return nil
}

// described is what a node tells: its own files and those that they import.
type described struct {
	own      *protoregistry.Files
	services map[string]grpc.ServiceInfo
}

func (d *described) all(files []protoreflect.FileDescriptor) error {
	d.own, d.services = &protoregistry.Files{}, map[string]grpc.ServiceInfo{
		"grpc.reflection.v1.ServerReflection": {},
	}
	for _, file := range files {
		if err := d.own.RegisterFile(file); err != nil {
			return err //nolint:wrapcheck // the test says where
		}
		for i := range file.Services().Len() {
			d.services[string(file.Services().Get(i).FullName())] = grpc.ServiceInfo{}
		}
	}
	return nil
}

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (d described) GetServiceInfo() map[string]grpc.ServiceInfo { return d.services }

// FindFileByPath implements protodesc.Resolver.
func (d described) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if file, err := d.own.FindFileByPath(path); err == nil {
		return file, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path) //nolint:wrapcheck // as above
}

// FindDescriptorByName implements protodesc.Resolver.
func (d described) FindDescriptorByName(
	name protoreflect.FullName,
) (protoreflect.Descriptor, error) {
	if found, err := d.own.FindDescriptorByName(name); err == nil {
		return found, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name) //nolint:wrapcheck // as above
}
