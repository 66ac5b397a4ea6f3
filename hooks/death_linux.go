package hooks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// DieWithParent makes the kernel kill this process when the one that started it ends, so that a
// hook does not vote on for a Git that was killed.
func DieWithParent() error {
	_, _, errno := syscall.RawSyscall(
		syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
	if errno != 0 {
		return fmt.Errorf("set parent death signal: %w", errno)
	}

	return nil
}

// tie makes the kernel kill a custom hook when this process ends, and makes an ended context kill
// all that the custom hook has started. The hook stays in the node's process group, so that whoever
// kills the group kills it too.
func tie(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Cancel = func() error {
		var errs []error
		for _, pid := range descendants(command.Process.Pid) {
			err := syscall.Kill(pid, syscall.SIGKILL)
			if err != nil && !errors.Is(err, syscall.ESRCH) {
				errs = append(errs, err)
			}
		}

		return errors.Join(append(errs, command.Process.Kill())...)
	}
}

// descendants returns the processes below one, as far as they have not cut themselves loose.
func descendants(pid int) []int {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil // It has ended.
	}

	var found []int
	for _, thread := range threads {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		if err != nil {
			continue // as above
		}
		for field := range strings.FieldsSeq(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(append(found, child), descendants(child)...)
			}
		}
	}

	return found
}
