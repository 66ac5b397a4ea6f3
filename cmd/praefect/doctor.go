package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
)

// doctorTimeout bounds each examination of the doctor. They go on side by side.
const doctorTimeout = 10 * time.Second

// What the doctor says of a thing.
const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateFail = "fail"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "examine everything that this Praefect depends on",
		Description: "One report about configuration, database, nodes and this host's own " +
			"server: can they be reached, are the tokens right, do the clocks agree, when do " +
			"certificates expire, can the nodes' votes come back. Each line says ok, warn or " +
			"fail, and what to do. Changes nothing. The exit status is 1 if something fails.",
		Flags:  []cli.Flag{jsonFlag()},
		Action: subcommand(runDoctor),
	}
}

// symptom is one line of the report.
type symptom struct {
	// Area is what was examined: configuration, praefect, database, or a node.
	Area  string `json:"area"`
	Check string `json:"check"`
	State string `json:"state"`
	// Detail says what was found, Advice what to do about it.
	Detail string `json:"detail,omitempty"`
	Advice string `json:"advice,omitempty"`
}

// chart collects what is found in one area. It belongs to one goroutine.
type chart struct {
	area     string
	symptoms []symptom
}

func (c *chart) ok(check, format string, args ...any) {
	c.add(check, stateOK, fmt.Sprintf(format, args...), "")
}

func (c *chart) add(check, state, detail, advice string) {
	c.symptoms = append(c.symptoms, symptom{
		Area: c.area, Check: check, State: state, Detail: detail, Advice: advice,
	})
}

// examination fills a chart within its time.
type examination struct {
	area string
	run  func(context.Context, *chart)
}

func runDoctor(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	examinations := []examination{
		{"configuration", func(_ context.Context, c *chart) { examineConfiguration(c, config) }},
		{"praefect", func(ctx context.Context, c *chart) { examineProxy(ctx, c, config) }},
		{"database", func(ctx context.Context, c *chart) { examineDatabase(ctx, c, config) }},
	}
	consultations, err := consultNodes(config)
	if err != nil {
		return err
	}
	defer consultations.close()
	examinations = append(examinations, consultations.examinations()...)
	symptoms := examineAll(ctx, examinations)

	out := cmd.Root().Writer
	if cmd.Bool(flagJSON) {
		err = sayJSON(out, symptoms)
	} else {
		err = saySymptoms(out, symptoms)
	}

	return errors.Join(err, failures(symptoms))
}

// examineAll runs all examinations side by side and keeps their order.
func examineAll(ctx context.Context, examinations []examination) []symptom {
	charts := make([]*chart, len(examinations))
	var group sync.WaitGroup
	for i, one := range examinations {
		charts[i] = &chart{area: one.area}
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
			defer cancel()
			one.run(ctx, charts[i])
		})
	}
	group.Wait()
	all := []symptom{}
	for _, c := range charts {
		all = append(all, c.symptoms...)
	}

	return all
}

// failures returns an error that names what fails, or nil.
func failures(symptoms []symptom) error {
	var failed *multierror.Error
	for _, s := range symptoms {
		if s.State == stateFail {
			failed = multierror.Append(failed, fmt.Errorf("%s: %s", s.Area, s.Check))
		}
	}
	if failed == nil {
		return nil
	}
	failed.ErrorFormat = func(errs []error) string {
		var text strings.Builder
		text.WriteString("what fails:")
		for _, err := range errs {
			text.WriteString("\n  " + err.Error())
		}

		return text.String()
	}

	return failed.ErrorOrNil()
}

func saySymptoms(out io.Writer, symptoms []symptom) error {
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	p := &printer{out: columns}
	counts := map[string]int{}
	for _, s := range symptoms {
		counts[s.State]++
		p.say("%s\t%s\t%s\t%s\n", s.State, s.Area, s.Check, s.Detail)
		if s.Advice != "" {
			p.say("\t\t\t-> %s\n", s.Advice)
		}
	}
	err := errors.Join(p.err, columns.Flush())

	return errors.Join(err, say(out, "\n%d ok, %d to look at, %d failed.\n",
		counts[stateOK], counts[stateWarn], counts[stateFail]))
}

// examineConfiguration repeats what a server says when it starts with the file.
func examineConfiguration(c *chart, config *configfile.Loaded) {
	for _, note := range config.Unknown {
		c.add("unknown key", stateWarn, fmt.Sprintf("%s in line %d", note.Key, note.Line),
			"correct or remove it: it has no effect")
	}
	for _, finding := range config.Warnings() {
		c.add("value", stateWarn, finding.String(), "")
	}
	if config.Auth.Secret() == "" {
		c.add("token", stateWarn, "clients need no token",
			"set [auth] token unless nobody else can reach the listeners")
	}
	for _, virtual := range config.VirtualStorages {
		if len(virtual.Nodes) < 3 {
			c.add("redundancy", stateWarn,
				fmt.Sprintf("virtual storage %q has %d node(s)", virtual.Name, len(virtual.Nodes)),
				"three nodes let writes go on while one is down")
		}
	}
	c.ok("file", "%d virtual storage(s), %d node(s)",
		len(config.VirtualStorages), len(config.Nodes()))
}

// examineClock says how far a clock is from this host's.
func examineClock(c *chart, ahead, within time.Duration) {
	const (
		noticeable = 2 * time.Second
		// harmful is half of what tokens and leases bear.
		harmful = 15 * time.Second
	)
	detail := fmt.Sprintf("differs by %s (within %s)",
		ahead.Round(time.Millisecond), within.Round(time.Millisecond))
	off := max(ahead.Abs()-within, 0)
	switch {
	case off >= harmful:
		c.add("clock", stateFail, detail, "synchronise the clocks of both hosts, for example "+
			"with chrony: tokens are refused when they differ by 30 s")
	case off >= noticeable:
		c.add("clock", stateWarn, detail, "synchronise the clocks of both hosts")
	default:
		c.ok("clock", "%s", detail)
	}
}
