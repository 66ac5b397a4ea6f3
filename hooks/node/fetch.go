package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// fetch brings objects, and all that they need, from a source into a repository. It changes no
// reference, so it can be ended at any time. Git asks for what is missing only.
func (n *Node) fetch(ctx context.Context, dir string, from *source, objects []string) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer ours.Close() //nolint:errcheck // Everything was said, or nobody listens.

	var uploading sync.WaitGroup
	var uploaded error
	uploading.Go(func() {
		defer ours.CloseWrite() //nolint:errcheck // as above, in case nobody else has
		uploaded = from.upload(ctx, ours)
	})

	err = n.git.Run(ctx, git.Command{
		Repository: dir,
		Config: []string{
			"protocol.version=2", "protocol.fd.allow=always",
			// What the source has, good or bad, the copy shall have.
			"transfer.fsckObjects=false", "fetch.fsckObjects=false",
		},
		Args: []string{
			"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--stdin", openedURL,
		},
		Stdin: strings.NewReader(strings.Join(objects, "\n") + "\n"),
		Files: []*os.File{theirs},
	})
	err = errors.Join(err, theirs.Close()) // The source notices.
	uploading.Wait()
	if err != nil {
		// Where the source failed, Git only knows that it heard nothing more.
		return fmt.Errorf("fetch objects: %w", errors.Join(uploaded, err))
	}

	return nil
}

// openedURL makes Git speak over the first file that it is given besides the usual three.
const openedURL = "fd::3"

// socketPair returns two ends of a connection: one for us, one for a process. Two pipes would not
// do: Git itself keeps the writing end of its pipe open, so that its end would never be seen.
func socketPair() (*net.UnixConn, *os.File, error) {
	syscall.ForkLock.RLock() // No process may start before the descriptors are marked.
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("open pair of sockets: %w", err)
	}
	mine, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	conn, err := net.FileConn(mine)
	if err = errors.Join(err, mine.Close()); err != nil { // conn has a copy
		return nil, nil, errors.Join(fmt.Errorf("use socket: %w", err), theirs.Close())
	}
	ours, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil, errors.Join(
			fmt.Errorf("use socket: %w", errors.ErrUnsupported), conn.Close(), theirs.Close())
	}

	return ours, theirs, nil
}

// upload lets the source serve one fetch.
func (s *source) upload(ctx context.Context, client *net.UnixConn) error {
	waiter := s.sidechannels.Register(func(conn *sidechannel.ClientConn) error {
		var sending sync.WaitGroup
		sending.Go(func() {
			// When it fails, so does reading below.
			_, _ = io.Copy(conn, client)
			_ = conn.CloseWrite() // as above
		})
		err := splitBands(conn, client)
		_ = client.CloseWrite() // Git ends now, and with it what is copied from it.
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
