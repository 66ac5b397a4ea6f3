// Command model explores the protocol of turns, intents, votes, records, recovery, repair and
// cached routes exhaustively, as it is written in replication.pml, with spin.
//
// It does not look at the code: what it shows is that the rules suffice, and, rule by rule, that
// they are needed. A configuration explores a part of what may happen, to its end; docs/model.md
// says which.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// settings are the command's flags.
type settings struct {
	switches, short, write bool
	workers                int
	only                   string
}

// properties are what every exploration asserts.
const properties = 7

var (
	errViolated = errors.New("the model does not keep its promises")
	errUncaught = errors.New("rules are missing in the model, and nothing fails")
	errStale    = errors.New(page + " is not what the runs give: make model-switches WRITE=1")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, output io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("model", flag.ContinueOnError)
	flags.BoolVar(&s.switches, "switches", false, "leave each rule out and name what fails")
	flags.BoolVar(&s.short, "short", false, "only configurations that take seconds")
	flags.BoolVar(&s.write, "write", false, "with -switches: write "+page)
	flags.IntVar(&s.workers, "workers", 2, "explorations at the same time")
	flags.StringVar(&s.only, "only", "", "the `name` of the only configuration or rule")
	if err := flags.Parse(arguments); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	if s.switches {
		return s.leaveOut(ctx, output)
	}
	return s.explore(ctx, output)
}

// explore runs the configurations with all rules.
func (s settings) explore(ctx context.Context, output io.Writer) error {
	chosen := slices.DeleteFunc(configurations(), func(c configuration) bool {
		return c.length == endless || s.short && c.length != short ||
			s.only != "" && s.only != c.name
	})
	violated := make([]bool, len(chosen))
	err := s.each(ctx, len(chosen), func(ctx context.Context, i int) (string, error) {
		begun := time.Now()
		found, err := examine(ctx, chosen[i].macros, "")
		if err != nil {
			return "", fmt.Errorf("%s: %w", chosen[i].name, err)
		}
		violated[i] = found.violation != ""
		return fmt.Sprintf("model: run=%s states=%d seconds=%.0f violation=%q\n%s",
			chosen[i].name, found.states, time.Since(begun).Seconds(), found.violation,
			indent(found.steps)), nil
	}, output)
	if err != nil {
		return err
	}
	violations := count(violated)
	err = say(output, "model: properties=%d violations=%d\n", properties, violations)
	if err == nil && violations > 0 {
		err = errViolated
	}
	return err
}

// say prints.
func say(output io.Writer, format string, values ...any) error {
	if _, err := fmt.Fprintf(output, format, values...); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// leaveOut runs the model without each of its rules.
func (s settings) leaveOut(ctx context.Context, output io.Writer) error {
	chosen := slices.DeleteFunc(rules(), func(r rule) bool {
		return s.only != "" && s.only != r.macro
	})
	found, matches := make([]result, len(chosen)), make([]bool, len(chosen))
	err := s.each(ctx, len(chosen), func(ctx context.Context, i int) (string, error) {
		var err error
		if found[i], err = examine(ctx, named(chosen[i].run), chosen[i].macro); err != nil {
			return "", fmt.Errorf("%s: %w", chosen[i].macro, err)
		}
		matches[i] = found[i].violation == chosen[i].violation
		return fmt.Sprintf("switches: rule=%s violation=%q expected=%q\n",
			chosen[i].macro, found[i].violation, chosen[i].violation), nil
	}, output)
	if err != nil {
		return err
	}
	caught := count(matches)
	err = say(output, "switches: rules=%d caught=%d\n", len(chosen), caught)
	switch {
	case err != nil:
		return err
	case caught < len(chosen):
		return errUncaught
	case s.only != "":
		return nil
	}
	return publish(chosen, found, s.write)
}

// count says how many are true.
func count(all []bool) int {
	sum := 0
	for _, one := range all {
		if one {
			sum++
		}
	}
	return sum
}

// each calls task for each number, several at once; what it returns is printed one by one. Tasks
// share nothing but what is their own by their number.
func (s settings) each(
	ctx context.Context, count int,
	task func(context.Context, int) (string, error), output io.Writer,
) error {
	var (
		tasks sync.WaitGroup
		mu    sync.Mutex
		errs  []error
	)
	room := make(chan struct{}, max(s.workers, 1))
	for i := range count {
		tasks.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			said, err := task(ctx, i)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			_, _ = io.WriteString(output, said) // Whoever reads it may leave.
		})
	}
	tasks.Wait()
	return errors.Join(errs...)
}

// examine explores with all rules but one.
func examine(ctx context.Context, macros []string, without string) (result, error) {
	directory, remove, err := workspace()
	if err != nil {
		return result{}, err
	}
	defer remove()
	defined := append([]string{"MIN=2"}, macros...)
	// No run shows what fails without this one.
	defined = append(defined, "RULE_GENERATION=1")
	for _, rule := range rules() {
		value := "1"
		if rule.macro == without {
			value = "0"
		}
		defined = append(defined, "RULE_"+rule.macro+"="+value)
	}
	return explore(ctx, directory, defined)
}
