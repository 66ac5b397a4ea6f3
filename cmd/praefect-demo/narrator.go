package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// narrator prints the story: numbered steps, what was done, what was seen. Colours are used on a
// terminal only.
type narrator struct {
	out     io.Writer
	colours bool
	begin   time.Time
	steps   int
}

const (
	bold  = "1"
	green = "32"
	dim   = "2"
)

func newNarrator(out io.Writer) *narrator {
	return &narrator{out: out, colours: terminal(out), begin: time.Now()}
}

// terminal tells whether a writer is a terminal whose user has not asked for plain text.
func terminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()

	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// step begins the next part of the story.
func (n *narrator) step(title string) {
	n.steps++
	elapsed := time.Since(n.begin).Seconds()
	n.print("\n%s\n", n.paint(bold, fmt.Sprintf("%d. %s", n.steps, title))+
		n.paint(dim, fmt.Sprintf("  (%.1f s)", elapsed)))
}

// did tells a command that was executed.
func (n *narrator) did(format string, args ...any) {
	n.print("   %s\n", n.paint(dim, "$ "+fmt.Sprintf(format, args...)))
}

// saw tells a fact.
func (n *narrator) saw(format string, args ...any) {
	n.print("   "+format+"\n", args...)
}

// end prints the last line.
func (n *narrator) end(format string, args ...any) {
	n.print("\n%s\n", n.paint(green, fmt.Sprintf(format, args...)))
}

// complaints prints the last warnings and errors of a log, because the log is about to be removed.
func (n *narrator) complaints(path string) {
	const most = 20

	content, err := os.ReadFile(path)
	if err != nil {
		n.saw("no log: %v", err)
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		if !strings.Contains(line, `"level":"info"`) && !strings.Contains(line, `"level":"debug"`) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	for _, line := range lines[max(0, len(lines)-most):] {
		n.saw("%s", line)
	}
}

func (n *narrator) paint(style, text string) string {
	if !n.colours {
		return text
	}

	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (n *narrator) print(format string, args ...any) {
	_, _ = fmt.Fprintf(n.out, format, args...) // Whoever closed the output does not listen.
}
