package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"praefect/test/chaos/fault"
	"praefect/transaction/failpoint"
)

const (
	// sabotageVariable chooses what a sabotaged binary leaves out; with sabotageList it prints what
	// there is.
	sabotageVariable = "PRAEFECT_SABOTAGE"
	sabotageList     = "list"
	// sabotagePatience is short: what a sabotaged cluster broke need not come in order again.
	sabotagePatience = "10s"
	// seedsMax is how many seeds may be needed to catch a variant.
	seedsMax = 3
)

// sabotage runs chaos against each variant of a sabotaged binary until it is caught.
func sabotage(ctx context.Context, s settings, out io.Writer) error {
	dir, err := os.MkdirTemp("", "praefect-sabotage-")
	if err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // A left-over binary does no harm.

	s.praefect = filepath.Join(dir, "praefect")
	output, err := exec.CommandContext(ctx, "go", "build", "-tags", "sabotage", "-o", s.praefect,
		"praefect/cmd/praefect").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build sabotaged praefect: %w: %s", err, output)
	}
	variants, err := listVariants(ctx, s)
	if err != nil {
		return err
	}

	caught := 0
	for _, variant := range variants {
		found, err := catch(ctx, s, variant, out)
		if err != nil {
			return err
		}
		if found {
			caught++
		}
	}
	_, err = fmt.Fprintf(out, "sabotage: variants=%d caught=%d\n", len(variants), caught)
	if err != nil {
		return fmt.Errorf("print summary: %w", err)
	}
	if caught < len(variants) {
		return errFailed
	}

	return nil
}

var errNoVariants = errors.New("the binary lists no variants")

// listVariants asks the binary, unless one variant was asked for.
func listVariants(ctx context.Context, s settings) ([]string, error) {
	command := exec.CommandContext(ctx, s.praefect)
	command.Env = append(command.Environ(), sabotageVariable+"="+sabotageList)
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("list variants: %w", err)
	}
	variants := strings.Fields(string(output))
	if s.variant != "" {
		variants = slices.DeleteFunc(variants, func(v string) bool { return v != s.variant })
	}
	if len(variants) == 0 {
		return nil, errNoVariants
	}

	return variants, nil
}

// aim returns the flags of a run in which leaving that rule out shows soon. One that is not known
// meets everything.
func aim(variant string) []string {
	switch failpoint.Variant(variant) {
	case failpoint.TurnSkipped:
		// Writes to the same reference, which a node makes in another order.
		return []string{
			"-program", string(fault.Jitter), "-minutes", "1",
			"-repositories", "3", "-workers", "8", "-readers", "0",
		}
	case failpoint.RecordSkipped:
		// A node that misses writes.
		return []string{
			"-program", string(fault.Node), "-minutes", "0.5",
			"-repositories", "3", "-workers", "6", "-readers", "0",
		}
	case failpoint.RecoveryKeepsEverybody:
		// Replicas that lack what their proxy was about to record.
		return []string{
			"-program", string(fault.Doubt), "-minutes", "0.75",
			"-repositories", "4", "-workers", "6", "-readers", "0",
		}
	case failpoint.InvalidationNotAwaited, failpoint.LeaseNotChecked:
		// Readers through a proxy that does not hear that a replica fell behind.
		return []string{
			"-program", string(fault.Deaf), "-minutes", "0.75",
			"-repositories", "3", "-workers", "8", "-readers", "12",
		}
	default:
		return []string{"-minutes", "2"}
	}
}

// catch runs this program against a variant with several seeds until it finds a violation.
func catch(ctx context.Context, s settings, variant string, out io.Writer) (bool, error) {
	self, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("find own program: %w", err)
	}
	for seed := s.seed; seed < s.seed+seedsMax; seed++ {
		var output bytes.Buffer
		command := exec.CommandContext(ctx, self, slices.Concat([]string{
			"-praefect", s.praefect, "-discard", "-first", "-patience", sabotagePatience,
			"-seed", strconv.FormatUint(seed, 10),
			"-proxies", strconv.Itoa(s.proxies), "-nodes", strconv.Itoa(s.nodes),
		}, aim(variant))...)
		command.Env = append(command.Environ(), sabotageVariable+"="+variant)
		command.Stdout, command.Stderr = &output, &output
		// It is asked to end, so that it leaves nothing behind.
		command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
		failed := command.Run()
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}

		line, found := verdictOf(output.String())
		if line == "" {
			return false, fmt.Errorf("run against %s: %w: %s", variant, failed, output.String())
		}
		if _, err := fmt.Fprintf(out, "sabotage: %s: %s\n", variant, line); err != nil {
			return false, fmt.Errorf("print result: %w", err)
		}
		if found {
			return true, nil
		}
	}

	return false, nil
}

// verdictOf finds the last line of a run, and whether it tells of a violation. What merely took too
// long is none here: that can have other reasons than the sabotage.
func verdictOf(output string) (line string, found bool) {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	line = lines[len(lines)-1]
	if !strings.HasPrefix(line, "chaos: seed=") {
		return "", false
	}
	violation := regexp.MustCompile(`(lost|stale|torn|diverged)=[1-9]`)

	return line, violation.MatchString(line)
}
