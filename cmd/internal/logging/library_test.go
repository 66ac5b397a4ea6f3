package logging_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"praefect/cmd/internal/logging"
)

// TestLibrary has the gRPC library say something at each severity.
func TestLibrary(t *testing.T) {
	t.Parallel()

	for severity, want := range map[string][]string{
		"": {"e"}, "error": {"e"}, "WARNING": {"w", "e"}, "warning": {"w", "e"},
		"info": {"i", "w", "e"}, "loud": {"e"},
	} {
		core, logs := observer.New(zapcore.InfoLevel)
		library := logging.Library(zap.New(core), severity)
		require.False(t, library.V(2), "details are not asked for")
		library.Info("i")
		library.Warningf("%s", "w")
		library.Errorln("e")
		var said []string
		for _, line := range logs.All() {
			said = append(said, line.Message)
			require.Equal(t, "grpc", line.LoggerName)
			require.Equal(t, "system", line.ContextMap()["system"])
		}
		require.Equal(t, want, said, severity)
	}

	core, logs := observer.New(zapcore.FatalLevel)
	logging.Library(zap.New(core), "info").Error("e")
	require.Zero(t, logs.Len(), "the level of the logger counts too")
}
