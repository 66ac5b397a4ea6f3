package method

import "strings"

// Split takes the full name of a method, "/service/method", apart. Without a second slash all of it
// is the service, and ok is false.
func Split(full string) (service, name string, ok bool) {
	return strings.Cut(strings.TrimPrefix(full, "/"), "/")
}

// What metrics and logs call the types of calls: who sends more than one message.
const (
	TypeUnary        = "unary"
	TypeClientStream = "client_stream"
	TypeServerStream = "server_stream"
	TypeBidiStream   = "bidi_stream"
)

// StreamType returns the type of a call by who sends more than one message.
func StreamType(client, server bool) string {
	switch {
	case client && server:
		return TypeBidiStream
	case client:
		return TypeClientStream
	case server:
		return TypeServerStream
	default:
		return TypeUnary
	}
}
