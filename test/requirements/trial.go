package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// outcome is what came of a test.
type outcome string

const (
	passed  outcome = "passed"
	failed  outcome = "failed"
	skipped outcome = "skipped"
	// moot is only for requirements that ask for nothing.
	moot outcome = "not-applicable"
)

// verdict is the outcome of a test with what it printed.
type verdict struct {
	outcome outcome
	took    time.Duration
	output  strings.Builder
}

// event is a line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// try runs the tests together, so that packages are built once, and tells each one's verdict. A
// test that never ended, because it was not built or its process died, failed.
func try(ctx context.Context, module string, tests []proof) (map[proof]*verdict, error) {
	verdicts := map[proof]*verdict{}
	if len(tests) == 0 {
		return verdicts, nil
	}

	var names, dirs []string
	for _, test := range tests {
		names, dirs = append(names, test.name), append(dirs, "./"+test.dir)
		verdicts[test] = &verdict{outcome: failed}
	}
	slices.Sort(names)
	slices.Sort(dirs)
	pattern := "^(" + strings.Join(slices.Compact(names), "|") + ")$"
	args := append([]string{"test", "-json", "-count=1", "-timeout=60m", "-run", pattern},
		slices.Compact(dirs)...)

	command := exec.CommandContext(ctx, "go", args...)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start tests: %w", err)
	}
	if err := listen(output, module, verdicts); err != nil {
		return nil, errors.Join(err, command.Wait())
	}
	if err := command.Wait(); err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("run tests: %w", ctx.Err())
	}

	return verdicts, nil // That tests failed is in their verdicts.
}

// listen takes the events of a run. Lines that are no events are the go command's own words.
func listen(output io.Reader, module string, verdicts map[proof]*verdict) error {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		var happened event
		if json.Unmarshal(line, &happened) != nil {
			continue
		}
		happened.apply(module, verdicts)
	}
}

// apply counts an event for the test that it belongs to. A part that was skipped makes the whole
// test count as skipped.
func (e event) apply(module string, verdicts map[proof]*verdict) {
	name, _, part := strings.Cut(e.Test, "/")
	verdict := verdicts[proof{dir: strings.TrimPrefix(e.Package, module+"/"), name: name}]
	switch {
	case verdict == nil:
	case e.Action == "output":
		verdict.output.WriteString(e.Output)
	case e.Action == "skip":
		verdict.outcome = skipped
	case !part && e.Action == "pass":
		verdict.took = time.Duration(e.Elapsed * float64(time.Second))
		if verdict.outcome != skipped {
			verdict.outcome = passed
		}
	case !part && e.Action == "fail":
		verdict.outcome = failed
	}
}
