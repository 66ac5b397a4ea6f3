package learn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// describe asks a node for the descriptors of its services. One that has no reflection describes
// nothing.
func describe(
	ctx context.Context, conn grpc.ClientConnInterface, config Config,
) (*schema, error) {
	// The two versions of the service differ in their names only. Each node has one of them, most
	// have both.
	for _, service := range []string{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	} {
		described, err := describeBy(ctx, conn, service, config)
		if status.Code(err) == codes.Unimplemented {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("describe services: %w", err)
		}
		return described, nil
	}
	return newSchema(), nil
}

func describeBy(
	ctx context.Context, conn grpc.ClientConnInterface, service string, config Config,
) (*schema, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{
		ServerStreams: true, ClientStreams: true,
	}, service)
	if err != nil {
		return nil, err //nolint:wrapcheck // a status
	}
	d := &dialogue{stream: stream, config: config, schema: newSchema()}
	services, err := d.list()
	if err != nil {
		return nil, err
	}
	for _, name := range services {
		if err := d.addService(name); err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
	}
	return d.schema, nil
}

// dialogue is one stream of questions and answers.
type dialogue struct {
	stream grpc.ClientStream
	config Config
	schema *schema
	bytes  int
}

// list returns the services that may have methods to carry.
func (d *dialogue) list() ([]string, error) {
	answer, err := d.ask(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{ListServices: "*"},
	})
	if err != nil {
		return nil, err
	}
	listed := answer.GetListServicesResponse()
	if listed == nil {
		return nil, fmt.Errorf("list services: %w", errAnswer)
	}
	var names []string
	for _, service := range listed.GetService() {
		if !strings.HasPrefix(service.GetName(), "grpc.") {
			names = append(names, service.GetName())
		}
	}
	if len(names) > d.config.Services {
		return nil, fmt.Errorf("%w: %d services", errTooLarge, len(names))
	}
	return names, nil
}

// addService adds a service and everything that its file imports.
func (d *dialogue) addService(name string) error {
	missing, err := d.add(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: name,
		},
	})
	for len(missing) > 0 && err == nil {
		file := missing[0]
		var further []string
		if d.schema.want(file) {
			further, err = d.add(&reflectionpb.ServerReflectionRequest{
				MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{
					FileByFilename: file,
				},
			})
		}
		missing = append(missing[1:], further...)
	}
	return err
}

// add adds the files of an answer, and returns what they import. What a node cannot tell is left
// out: a method that needs it stays unknown.
func (d *dialogue) add(request *reflectionpb.ServerReflectionRequest) ([]string, error) {
	answer, err := d.ask(request)
	if err != nil || answer.GetErrorResponse() != nil {
		return nil, err
	}
	files := answer.GetFileDescriptorResponse()
	if files == nil {
		return nil, errAnswer
	}
	var imports []string
	for _, encoded := range files.GetFileDescriptorProto() {
		d.bytes += len(encoded)
		if d.bytes > d.config.Bytes {
			return nil, fmt.Errorf("%w: %d bytes", errTooLarge, d.bytes)
		}
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(encoded, file); err != nil {
			return nil, fmt.Errorf("decode file: %w", err)
		}
		d.schema.add(file)
		imports = append(imports, file.GetDependency()...)
	}
	return imports, nil
}

// ask puts one question.
func (d *dialogue) ask(
	request *reflectionpb.ServerReflectionRequest,
) (*reflectionpb.ServerReflectionResponse, error) {
	err := d.stream.SendMsg(request)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err //nolint:wrapcheck // a status
	}
	answer := &reflectionpb.ServerReflectionResponse{}
	if err := d.stream.RecvMsg(answer); err != nil {
		return nil, err //nolint:wrapcheck // a status
	}
	return answer, nil
}
