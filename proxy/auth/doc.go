// Package auth implements the token authentication of the Gitaly protocol, version 2, in both
// directions: [Verifier] checks what clients send, [Credentials] signs calls to nodes.
//
// A call carries the metadata "authorization: Bearer v2.<signature>.<time>". The time is in
// decimal Unix seconds, the signature is the lower-case hexadecimal HMAC-SHA256 of that text
// with the shared token as key. Every call has a token of its own, valid for 30 seconds around
// its time, and the token itself never travels.
//
// # Who is let in
//
//	no token configured            everybody, unchecked
//	transitioning                  everybody; the check only feeds the metrics
//	service grpc.health.v1.Health  everybody, unchecked: probes have no token
//	anything else                  whoever passes the check
//
// Missing or malformed authentication answers Unauthenticated "authentication required", all
// other failures PermissionDenied and which one. A stream is checked before its first message is
// read.
//
// The check protects neither the content of a call nor against its repetition within the time
// window; that is left to TLS. Everything here may be used concurrently.
package auth
