package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
)

// tailLimit bounds how much of a log an error message repeats.
const tailLimit = 4 << 10

// Command says how to start a program.
type Command struct {
	// Path is the program, Args its arguments without the program's name.
	Path string
	Args []string
	// Env is added to the environment of the harness.
	Env []string
	// Log is the file that takes standard output and standard error; it is appended to.
	Log string
}

// Process is a running or ended program in a process group of its own.
type Process struct {
	command *exec.Cmd
	log     string
	done    chan struct{}
	paused  atomic.Bool
}

// Spawn starts a program. It is killed by the kernel when the harness ends.
func Spawn(command Command) (*Process, error) {
	log, err := os.OpenFile(command.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}

	//nolint:noctx // The program outlives the call that starts it; Kill and Terminate end it.
	cmd := exec.Command(command.Path, command.Args...)
	cmd.Env = append(os.Environ(), command.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	p := &Process{command: cmd, log: command.Log, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(log, started)

	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}

	return p, nil
}

// run starts the program and reaps it. The kernel sends PDEATHSIG when the *thread* that forked
// ends, therefore this goroutine keeps its thread for as long as the program lives.
func (p *Process) run(log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer log.Close() //nolint:errcheck // The program writes the log, nothing is buffered here.

	err := p.command.Start()
	started <- err
	if err != nil {
		return
	}

	_ = p.command.Wait() // The exit code is asked for by ExitCode.
	close(p.done)
}

// PID is the process id, which is the id of its group too.
func (p *Process) PID() int { return p.command.Process.Pid }

// Done is closed when the program has ended and is reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the program has not ended yet; a paused one is running.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ExitCode is the exit code of an ended program, -1 when a signal ended it or when it still runs.
func (p *Process) ExitCode() int {
	if p.Running() {
		return -1
	}

	return p.command.ProcessState.ExitCode()
}

// Wait waits until the program has ended.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for end of %s: %w", p.command.Path, context.Cause(ctx))
	}
}

// Kill ends the whole process group with SIGKILL and waits until its leader is reaped. Killing an
// ended program kills what is left of its group.
func (p *Process) Kill() error {
	err := syscall.Kill(-p.PID(), syscall.SIGKILL)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill group of %s: %w", p.command.Path, err)
	}

	<-p.done

	return nil
}

// Pause freezes the whole process group (SIGSTOP).
func (p *Process) Pause() error {
	p.paused.Store(true)

	return p.signalGroup(syscall.SIGSTOP)
}

// Resume lets a frozen process group go on (SIGCONT).
func (p *Process) Resume() error {
	p.paused.Store(false)

	return p.signalGroup(syscall.SIGCONT)
}

// Answers tells whether the program can answer: it has not ended, and it is not frozen.
func (p *Process) Answers() bool { return p.Running() && !p.paused.Load() }

// Signal sends a signal to the program alone.
func (p *Process) Signal(signal syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("signal %s: %w", p.command.Path, ErrNotRunning)
	}

	if err := syscall.Kill(p.PID(), signal); err != nil {
		return fmt.Errorf("signal %s: %w", p.command.Path, err)
	}

	return nil
}

// Terminate asks the program to end (SIGTERM) and waits for it until ctx ends; then it is killed.
func (p *Process) Terminate(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}

	if err := p.Wait(ctx); err != nil {
		return errors.Join(err, p.Kill())
	}

	return p.Kill() // What is left of the group.
}

// LogTail returns the end of what the program wrote.
func (p *Process) LogTail() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}

	return string(content[max(0, len(content)-tailLimit):])
}

func (p *Process) signalGroup(signal syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("signal group of %s: %w", p.command.Path, ErrNotRunning)
	}

	if err := syscall.Kill(-p.PID(), signal); err != nil {
		return fmt.Errorf("signal group of %s: %w", p.command.Path, err)
	}

	return nil
}
