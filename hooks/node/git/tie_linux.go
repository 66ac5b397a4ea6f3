package git

import (
	"os/exec"
	"syscall"
)

// tie makes the kernel kill the process when the node ends. It stays in the node's process group,
// so that whoever kills the group kills it too. The kernel looks at the thread that started the
// process; Go ends threads only with goroutines that were locked to them, and none is here.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
