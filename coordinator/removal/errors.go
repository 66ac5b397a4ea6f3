package removal

import "errors"

// ErrInvalidConfig says that a value of the [Config] is negative.
var ErrInvalidConfig = errors.New("invalid removal configuration")
