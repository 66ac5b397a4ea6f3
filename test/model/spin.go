package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// model is the file that everything is about.
const model = "test/model/replication.pml"

const (
	// depthMax bounds a path; reaching it is an error, as the exploration is not complete then.
	depthMax = "200000"
	// memoryMax bounds one exploration, in MiB; two may run at once.
	memoryMax = "-DMEMLIM=6000"
)

// errIncomplete says that not every state was explored.
var errIncomplete = errors.New("the exploration is not complete")

// result is what one exploration found.
type result struct {
	states int
	// violation is empty, or the property that failed; steps are how that came about.
	violation string
	steps     []string
}

// explore builds the verifier of one configuration and runs it to its end, or to the first
// violation. Files of the build are in directory, which it may fill as it likes.
func explore(ctx context.Context, directory string, macros []string) (result, error) {
	source, err := filepath.Abs(model)
	if err != nil {
		return result{}, fmt.Errorf("find the model: %w", err)
	}
	defines := make([]string, 0, len(macros))
	for _, macro := range macros {
		defines = append(defines, "-D"+macro)
	}
	build := append(append([]string{"-a"}, defines...), source)
	if _, err := command(ctx, directory, "spin", build...); err != nil {
		return result{}, err
	}
	if _, err := command(ctx, directory, "gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE",
		memoryMax, "-o", "pan", "pan.c"); err != nil {
		return result{}, err
	}
	output, err := command(ctx, directory, filepath.Join(directory, "pan"), "-m"+depthMax)
	if err != nil {
		return result{}, err
	}
	found, err := read(output)
	if err != nil || found.violation == "" {
		return found, err
	}
	trail := append([]string{"-k", filepath.Join(directory, "replication.pml.trail")}, defines...)
	replay, err := command(ctx, directory, "spin", append(trail, source)...)
	if err != nil {
		return result{}, err
	}
	found.violation, found.steps = story(replay)
	return found, nil
}

// command runs a program and returns what it said.
func command(ctx context.Context, directory, name string, arguments ...string) (string, error) {
	program := exec.CommandContext(ctx, name, arguments...)
	program.Dir = directory
	var output bytes.Buffer
	program.Stdout, program.Stderr = &output, &output
	if err := program.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w: %s", filepath.Base(name), err, output.String())
	}
	return output.String(), nil
}

// read takes the verdict from what the verifier said.
func read(output string) (result, error) {
	for _, sign := range []string{
		"max search depth too small", "out of memory", "Search not completed", "memory limit",
	} {
		if strings.Contains(output, sign) && strings.Contains(output, "errors: 0") {
			return result{}, fmt.Errorf("%w: %s", errIncomplete, sign)
		}
	}
	stored := regexp.MustCompile(`(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored`).
		FindStringSubmatch(output)
	failed := regexp.MustCompile(`errors: (\d+)`).FindStringSubmatch(output)
	if stored == nil || failed == nil {
		return result{}, fmt.Errorf("%w: %s", errIncomplete, output)
	}
	states, err := strconv.ParseFloat(stored[1], 64)
	if err != nil {
		return result{}, fmt.Errorf("read the number of states: %w", err)
	}
	found := result{states: int(states)}
	if failed[1] != "0" {
		found.violation = "unknown"
	}
	return found, nil
}

// story takes the events from the replay of a path. A path that ends where a process waits for ever
// names no property.
func story(replay string) (string, []string) {
	violation, steps := "stuck process", []string{}
	for line := range strings.Lines(replay) {
		_, event, ok := strings.Cut(strings.TrimSpace(line), "@ ")
		if !ok {
			continue
		}
		if failed, is := strings.CutPrefix(event, "violation "); is {
			violation = failed
			continue
		}
		steps = append(steps, event)
	}
	return violation, steps
}

// workspace makes a directory for one exploration and returns what removes it.
func workspace() (string, func(), error) {
	directory, err := os.MkdirTemp("", "model")
	if err != nil {
		return "", nil, fmt.Errorf("make a directory: %w", err)
	}
	return directory, func() { _ = os.RemoveAll(directory) /* It is scratch. */ }, nil
}
