package logging

import (
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zapgrpc"
	"google.golang.org/grpc/grpclog"
)

// library writes lines of the gRPC library.
type library struct{ *zapgrpc.Logger }

// V says that details are not wanted.
func (library) V(int) bool { return false }

// Library returns what writes the lines of the gRPC library with a logger; else they go to standard
// error, as text. The severity is that of GRPC_GO_LOG_SEVERITY_LEVEL, which names the least that is
// written: INFO, WARNING, or, if it is neither, ERROR.
func Library(log *zap.Logger, severity string) grpclog.LoggerV2 {
	least := zapcore.ErrorLevel
	switch strings.ToUpper(severity) {
	case "INFO":
		least = zapcore.InfoLevel
	case "WARNING":
		least = zapcore.WarnLevel
	}
	log = log.Named("grpc").With(zap.String("system", "system"))
	if log.Level() < least {
		log = log.WithOptions(zap.IncreaseLevel(least))
	}

	return library{zapgrpc.NewLogger(log)}
}
