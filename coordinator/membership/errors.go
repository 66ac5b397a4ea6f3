package membership

import "errors"

// ErrInvalidConfig says that a value of the [Config] is negative, or that there is no name.
var ErrInvalidConfig = errors.New("invalid membership configuration")

// Why a lease is lost.
var (
	errExpired  = errors.New("it was not renewed in time")
	errRefused  = errors.New("the store does not know it any more")
	errTimeline = errors.New("another server took over the store")
	errResigned = errors.New("this process ends")
)
