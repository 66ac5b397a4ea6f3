//go:build !linux

package hooks

import "os/exec"

// DieWithParent does nothing where the kernel has no such service: a hook of a killed Git ends when
// its node has answered.
func DieWithParent() error { return nil }

// tie leaves it at what exec does: an ended context kills the custom hook alone.
func tie(*exec.Cmd) {}
