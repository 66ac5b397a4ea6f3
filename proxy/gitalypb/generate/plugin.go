package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// errStale tells that the generated code is not what the .proto files give.
var errStale = errors.New("not current, run make generate")

// generate runs both code generators and returns the content of each file by its name.
func generate(
	ctx context.Context, request *pluginpb.CodeGeneratorRequest,
) (map[string][]byte, error) {
	input, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	files := make(map[string][]byte)
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		response, err := call(ctx, plugin, input)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", plugin, err)
		}
		for _, file := range response.GetFile() {
			files[file.GetName()] = []byte(file.GetContent())
		}
	}
	return files, nil
}

// call hands the request to one code generator, at the version that go.mod pins.
func call(
	ctx context.Context, plugin string, input []byte,
) (*pluginpb.CodeGeneratorResponse, error) {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, "go", "tool", plugin)
	command.Stdin = bytes.NewReader(input)
	command.Stdout = &output
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output.Bytes(), response); err != nil {
		return nil, fmt.Errorf("decode response: %w", err)
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	return response, nil
}

// write replaces the generated files of dir, and removes those that nothing generates any more.
func write(dir string, files map[string][]byte) error {
	stale, err := leftovers(dir, files)
	if err != nil {
		return err
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// verify tells which generated files of dir differ from what they should be.
func verify(dir string, files map[string][]byte) error {
	stale, err := leftovers(dir, files)
	if err != nil {
		return err
	}
	var findings []error
	for _, path := range stale {
		findings = append(findings, fmt.Errorf("%s: %w", path, errStale))
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		current, err := os.ReadFile(path)
		if err != nil {
			findings = append(findings, fmt.Errorf("read: %w", err))
			continue
		}
		if !bytes.Equal(current, content) {
			findings = append(findings, fmt.Errorf("%s: %w", path, errStale))
		}
	}
	return errors.Join(findings...)
}

// leftovers returns the generated files of dir that are not among files.
func leftovers(dir string, files map[string][]byte) ([]string, error) {
	present, err := filepath.Glob(filepath.Join(dir, "*.pb.go"))
	if err != nil {
		return nil, fmt.Errorf("list generated files: %w", err)
	}
	var stale []string
	for _, path := range present {
		if _, current := files[filepath.Base(path)]; !current {
			stale = append(stale, path)
		}
	}
	return stale, nil
}
