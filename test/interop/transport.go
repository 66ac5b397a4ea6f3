package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// openedURL makes Git speak over the first file that it is given besides the usual three.
const openedURL = "fd::3"

// overSSH runs a Git command whose remote, openedURL, is what serve talks to: what Git would hear
// from an SSH server, without one.
func (c *checkout) overSSH(
	serve func(ctx context.Context, git *net.UnixConn) error, args ...string,
) (string, error) {
	ours, theirs, err := socketPair()
	require.NoError(c, err)
	var serving sync.WaitGroup
	var served error
	serving.Go(func() {
		served = serve(c.context, ours)
		_ = ours.CloseWrite() // Git may be gone.
	})

	run := &checkout{take: c.take, dir: c.dir, files: []*os.File{theirs}}
	output, err := run.try(nil, append([]string{"-c", "protocol.fd.allow=always"}, args...)...)
	closed := theirs.Close()
	serving.Wait()

	return output, errors.Join(err, served, closed, ours.Close())
}

// socketPair returns two ends of a connection: one for us, one for a process.
func socketPair() (*net.UnixConn, *os.File, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open pair of sockets: %w", err)
	}
	mine, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	conn, err := net.FileConn(mine)
	if err = errors.Join(err, mine.Close()); err != nil { // conn has a copy
		return nil, nil, errors.Join(err, theirs.Close())
	}

	return conn.(*net.UnixConn), theirs, nil //nolint:forcetypeassert // It was made as one.
}

// receive serves a push over SSH.
func (r *repository) receive(user string) func(context.Context, *net.UnixConn) error {
	return func(ctx context.Context, git *net.UnixConn) error {
		stream, err := gitalypb.NewSSHServiceClient(r.stage.conn).SSHReceivePack(ctx)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		err = stream.Send(&gitalypb.SSHReceivePackRequest{
			Repository: r.proto, GlId: user, GlRepository: r.proto.GetGlRepository(),
			GlUsername: "user",
		})
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		var sending sync.WaitGroup
		defer sending.Wait()
		// Nothing is sent any more when Git has ended.
		defer git.CloseRead() //nolint:errcheck // It may have been closed.
		sending.Go(func() {
			buffer := make([]byte, pieceSize)
			for {
				n, err := git.Read(buffer)
				if n > 0 {
					piece := append([]byte(nil), buffer[:n]...)
					if stream.Send(&gitalypb.SSHReceivePackRequest{Stdin: piece}) != nil {
						return // Receiving says why.
					}
				}
				if err != nil {
					_ = stream.CloseSend() // as above

					return
				}
			}
		})

		return receiveAnswers(stream, git)
	}
}

func receiveAnswers(
	stream interface {
		Recv() (*gitalypb.SSHReceivePackResponse, error)
	}, git io.Writer,
) error {
	var said string
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w: %s", err, said)
		}
		said += string(answer.GetStderr())
		if _, err := git.Write(answer.GetStdout()); err != nil {
			return fmt.Errorf("answer Git: %w", err)
		}
		if code := answer.GetExitStatus().GetValue(); code != 0 {
			return fmt.Errorf("receive: exit code %d: %s", code, said)
		}
	}
}

// upload serves a fetch over SSH.
func (r *repository) upload(ctx context.Context, git *net.UnixConn) error {
	waiter := r.stage.sidechannels.Register(func(conn *sidechannel.ClientConn) error {
		var sending sync.WaitGroup
		sending.Go(func() {
			_, _ = io.Copy(conn, git) // When it fails, so does reading.
			_ = conn.CloseWrite()     // as above
		})
		err := outputOf(conn, git)
		_ = git.CloseWrite() // Git ends now, and with it what is copied from it.
		sending.Wait()

		return err
	})
	_, err := gitalypb.NewSSHServiceClient(r.stage.conn).SSHUploadPackWithSidechannel(
		waiter.Outgoing(ctx), &gitalypb.SSHUploadPackWithSidechannelRequest{
			Repository: r.proto, GitProtocol: "version=2",
		})
	if err != nil {
		return errors.Join(fmt.Errorf("upload: %w", err), waiter.Close())
	}

	return waiter.Wait()
}

// outputOf copies what is in the output band of packets.
func outputOf(packets io.Reader, output io.Writer) error {
	const header, output1 = 5, 1
	head := make([]byte, header)
	for {
		if _, err := io.ReadFull(packets, head); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}

			return fmt.Errorf("read packet: %w", err)
		}
		var length int64
		if _, err := fmt.Sscanf(string(head[:header-1]), "%04x", &length); err != nil {
			return fmt.Errorf("read length %q: %w", head, err)
		}
		sink := io.Discard
		if head[header-1] == output1 {
			sink = output
		}
		if _, err := io.CopyN(sink, packets, length-header); err != nil {
			return fmt.Errorf("copy packet: %w", err)
		}
	}
}
