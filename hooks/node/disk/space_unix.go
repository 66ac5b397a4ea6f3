//go:build linux || darwin

package disk

import (
	"fmt"
	"syscall"
)

// Space returns how many bytes of the file system can still be used by this process, and how many
// are used.
func (d *Disk) Space() (available, used int64, err error) {
	var status syscall.Statfs_t
	if err := syscall.Statfs(d.root, &status); err != nil {
		return 0, 0, fmt.Errorf("ask for space: %w", err)
	}
	block := int64(status.Bsize) //nolint:unconvert // Its type differs between systems.

	return int64(status.Bavail) * block, int64(status.Blocks-status.Bfree) * block, nil
}
