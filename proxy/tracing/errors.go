package tracing

import "errors"

// ErrInvalidConfig says that spans cannot be sent where the configuration says, or not so many.
var ErrInvalidConfig = errors.New("invalid configuration of traces")
