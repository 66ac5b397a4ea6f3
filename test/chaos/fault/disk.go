package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"praefect/test/cluster"
)

// Disks are the disks of all nodes, in a way that they can be filled.
type Disks struct {
	mounted []string
}

const (
	// diskSize is enough for the repositories of a run many times over, and fits into memory.
	diskSize = "256m"
	filler   = "filler"
	// fillStep is the smallest amount that must not be left.
	fillStep = 4 << 10
	fillMode = 0o600
)

// PrepareDisks makes the disks of nodes as file systems of their own, where that is allowed. The
// directories are made if they do not exist.
func PrepareDisks(directories []string) (*Disks, error) {
	d := &Disks{}
	for _, dir := range directories {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("create disk: %w", err), d.Close())
		}
		err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+diskSize)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			// What was mounted goes; there is another way.
			if err := d.Close(); err != nil {
				return nil, err
			}

			return d, nil
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("mount disk: %w", err), d.Close())
		}
		d.mounted = append(d.mounted, dir)
	}

	return d, nil
}

// Mounted tells whether the disks are file systems of their own.
func (d *Disks) Mounted() bool { return len(d.mounted) > 0 }

// Wrapper is with what a node has to be started; nothing where disks are mounted.
func (d *Disks) Wrapper() []string {
	if d.Mounted() {
		return nil
	}

	return []string{"env", "--block-signal=XFSZ"}
}

// Keep replaces the file systems by copies of their contents, for whoever wants to look at them
// afterwards. No process may use them any more.
func (d *Disks) Keep(ctx context.Context) error {
	var errs []error
	for _, dir := range d.mounted {
		kept := dir + ".kept"
		output, err := exec.CommandContext(ctx, "cp", "-a", dir, kept).CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("keep disk: %w: %s", err, output))
		}
	}
	mounted := d.mounted
	errs = append(errs, d.Close())
	for _, dir := range mounted {
		errs = append(errs, os.Remove(dir), os.Rename(dir+".kept", dir))
	}

	return errors.Join(errs...)
}

// Close unmounts the disks.
func (d *Disks) Close() error {
	var errs []error
	for _, dir := range d.mounted {
		// What still uses it is on its way out.
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount disk: %w", err))
		}
	}
	d.mounted = nil

	return errors.Join(errs...)
}

// fill makes the disk of a node full.
func (d *Disks) fill(node *cluster.Node) error {
	if !d.Mounted() {
		return limitFiles(node, 0)
	}

	file, err := os.OpenFile(filepath.Join(node.Disk, filler), os.O_CREATE|os.O_WRONLY, fillMode)
	if err != nil {
		return fmt.Errorf("fill disk: %w", err)
	}
	defer file.Close() //nolint:errcheck // What is in it does not matter.

	var size int64
	for step := int64(64 << 20); step >= fillStep; {
		err := unix.Fallocate(int(file.Fd()), 0, size, step)
		switch {
		case err == nil:
			size += step
		case errors.Is(err, unix.ENOSPC):
			step /= 2
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("fill disk: %w", err)
		}
	}

	return nil
}

// free gives the space back.
func (d *Disks) free(node *cluster.Node) error {
	if !d.Mounted() {
		return limitFiles(node, unix.RLIM_INFINITY)
	}
	if err := os.Remove(filepath.Join(node.Disk, filler)); err != nil {
		return fmt.Errorf("free disk: %w", err)
	}

	return nil
}

// limitFiles sets how large files of a node's process may become.
func limitFiles(node *cluster.Node, size uint64) error {
	pid := node.Process().PID()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		return fmt.Errorf("ask for limit of files: %w", err)
	}
	limit.Cur = min(size, limit.Max)
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		return fmt.Errorf("limit files: %w", err)
	}

	return nil
}
