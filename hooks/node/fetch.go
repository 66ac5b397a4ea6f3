package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// fetch brings objects, and all that they need, from a source into a repository. It changes no
// reference, so it can be ended at any time. Git asks for what is missing only.
func (n *Node) fetch(ctx context.Context, dir string, from *source, objects []string) error {
	wires, err := newWires()
	if err != nil {
		return err
	}
	defer wires.close()

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer wires.closeTheirs() // so that the other end notices
		err := n.git.Run(ctx, git.Command{
			Repository: dir,
			Config: []string{
				"protocol.version=2", "protocol.fd.allow=always",
				// What the source has, good or bad, the copy shall have.
				"transfer.fsckObjects=false", "fetch.fsckObjects=false",
			},
			Args: []string{
				"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--stdin", wires.url(),
			},
			Stdin: strings.NewReader(strings.Join(objects, "\n") + "\n"),
			Files: wires.theirs(),
		})
		if err != nil {
			return fmt.Errorf("fetch objects: %w", err)
		}

		return nil
	})
	group.Go(func() error {
		defer wires.toGit.Close() //nolint:errcheck // Git reads the end, or is gone.

		return from.upload(ctx, wires.fromGit, wires.toGit)
	})

	return group.Wait() //nolint:wrapcheck // wrapped above
}

// wires are two pipes by which Git speaks with the source, instead of a connection of its own.
type wires struct {
	fromGit, gitWrites *os.File
	gitReads, toGit    *os.File
	once               sync.Once
}

func newWires() (*wires, error) {
	fromGit, gitWrites, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	gitReads, toGit, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(
			fmt.Errorf("open pipe: %w", err), fromGit.Close(), gitWrites.Close())
	}

	return &wires{fromGit: fromGit, gitWrites: gitWrites, gitReads: gitReads, toGit: toGit}, nil
}

// firstFile is the descriptor of the first file that a process gets besides the usual three.
const firstFile = 3

// url is what Git takes for a connection that is open already: where it reads, where it writes.
func (w *wires) url() string {
	return "fd::" + strconv.Itoa(firstFile) + "," + strconv.Itoa(firstFile+1)
}

// theirs are Git's ends.
func (w *wires) theirs() []*os.File { return []*os.File{w.gitReads, w.gitWrites} }

func (w *wires) closeTheirs() {
	w.once.Do(func() {
		for _, file := range w.theirs() {
			_ = file.Close() // a pipe loses nothing
		}
	})
}

func (w *wires) close() {
	w.closeTheirs()
	for _, file := range []*os.File{w.fromGit, w.toGit} {
		_ = file.Close() // as above
	}
}

// upload lets the source serve one fetch.
func (s *source) upload(ctx context.Context, input io.Reader, output io.WriteCloser) error {
	waiter := s.sidechannels.Register(func(conn *sidechannel.ClientConn) error {
		var sending sync.WaitGroup
		sending.Go(func() {
			// When it fails, so does reading below.
			_, _ = io.Copy(conn, input)
			_ = conn.CloseWrite()
		})
		err := splitBands(conn, output)
		_ = output.Close() // Git ends now, and with it what is copied from it.
		sending.Wait()

		return err
	})
	_, err := s.ssh.SSHUploadPackWithSidechannel(waiter.Outgoing(ctx),
		&gitalypb.SSHUploadPackWithSidechannelRequest{
			Repository: s.message, GitProtocol: "version=2",
		})
	if err != nil {
		return errors.Join(s.failed("serve fetch", err), ignoreUnopened(waiter.Close()))
	}
	if err := waiter.Wait(); err != nil {
		return fmt.Errorf("relay fetch: %w", err)
	}

	return nil
}

func ignoreUnopened(err error) error {
	if errors.Is(err, sidechannel.ErrNotOpened) {
		return nil
	}

	return err
}

var errBand = errors.New("malformed side band")

// splitBands reads packets of a side band to their end, and writes what is in the output band.
func splitBands(packets io.Reader, output io.Writer) error {
	header := make([]byte, packetHeader+1)
	for {
		_, err := io.ReadFull(packets, header)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read packet: %w", err)
		}
		length, err := strconv.ParseUint(string(header[:packetHeader]), 16, 16)
		if err != nil || length < uint64(len(header)) {
			return fmt.Errorf("%w: %q", errBand, header)
		}

		sink := io.Discard
		if header[packetHeader] == bandOutput {
			sink = output
		}
		if _, err := io.CopyN(sink, packets, int64(length)-int64(len(header))); err != nil {
			return fmt.Errorf("relay packet: %w", err)
		}
	}
}
