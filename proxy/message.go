package proxy

import (
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
)

// healthPrefix is that of the methods of the health service.
const healthPrefix = "/grpc.health.v1.Health/"

// messages are those of the lines of calls by code: what log pipelines look for. They are put
// together once.
type messages struct{ unary, streaming []string }

func newMessages() messages {
	var m messages
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		m.unary = append(m.unary, "finished unary call with code "+code.String())
		m.streaming = append(m.streaming, "finished streaming call with code "+code.String())
	}
	return m
}

// of returns the message of a call that has ended. All relayed calls count as streaming ones, as
// they do for the library.
func (m messages) of(streaming bool, code codes.Code) string {
	all := m.unary
	if streaming {
		all = m.streaming
	}
	if int(code) >= len(all) {
		code = codes.Unknown
	}
	return all[code]
}

// LogFilter says which calls get a line in the log, by their full method names. A name that Allow
// matches does, and one that Deny matches does not otherwise. Without Deny that is health checks.
type LogFilter struct{ Allow, Deny *regexp.Regexp }

// logs tells whether calls of a method get a line.
func (f LogFilter) logs(name string) bool {
	switch {
	case f.Allow != nil && f.Allow.MatchString(name):
		return true
	case f.Deny != nil:
		return !f.Deny.MatchString(name)
	default:
		return !strings.HasPrefix(name, healthPrefix)
	}
}
