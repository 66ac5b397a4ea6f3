package proxy

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/sidechannel"
)

// TestSettleUnreached opens a sidechannel towards a client that has no way back. The node's answer
// was there before its call could be cancelled; it is a consequence, and not what is told.
func TestSettleUnreached(t *testing.T) {
	t.Parallel()
	registry := sidechannel.NewRegistry(zap.NewNop())
	abandoned := make(chan error, 1)
	channel, id, err := registry.Relay(
		metadata.NewIncomingContext(t.Context(), metadata.Pairs(sidechannel.Key, "7")),
		func(cause error) { abandoned <- cause })
	require.NoError(t, err)
	require.Equal(t, metadata.Pairs(sidechannel.Key, "0"), id)

	node, stream := net.Pipe()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		registry.Accept(stream)
	}()
	_, err = node.Write(binary.BigEndian.AppendUint64(nil, 0))
	require.NoError(t, err)
	confirmation := make([]byte, len("ok"))
	_, err = io.ReadFull(node, confirmation)
	require.NoError(t, err)
	<-accepted
	require.ErrorContains(t, <-abandoned, "non-multiplexed connection")

	for _, answer := range []error{
		nil, status.Error(codes.Canceled, "context canceled"),
		status.Error(codes.Internal, "cut off"),
	} {
		require.ErrorContains(t, aside{channel: channel}.Settle(answer),
			"non-multiplexed connection")
	}
	require.NoError(t, channel.Close())
	require.NoError(t, node.Close())
}
