// Package backend holds the proxy's connections to the nodes.
//
// Each configured node has a multiplexed gRPC connection of its own
// ([Pool.Conn]; package backchannel), even when several share an address: the
// node casts its votes on it, and so whoever votes is known by the connection
// and not by what the vote claims. Beside it each has a plain one
// ([Pool.ReadConn]) for calls on which nothing comes back but their answers,
// which are most: they do not pay for the multiplexing, two goroutines and a
// copy of every byte on either side. While the plain connection is not there,
// the multiplexed one stands in, so that a node can be read from exactly when
// it can be probed. The package decides nothing: not which node is called, not
// whether one is healthy, not what a vote is worth.
//
// # A connection
//
// Both kinds are alike but for the multiplexing. One is made with the first
// call and made anew when it ends, after about a second when it cannot be made.
// An attempt gets ConnectTimeout. Calls fail at once with Unavailable while
// there is none; they are not retried, because a retry belongs on another node
// and needs another sidechannel. Silence of 20 s is broken by a ping, which the
// node has 20 s to answer. A message from a node has at most 4 MiB. Every call
// is signed with the node's token. The content type is plain application/grpc;
// no codec is set.
//
//	tcp://host:port                  plain
//	tls://host:port                  TLS 1.2 or later, ALPN not required
//	unix:/path, unix:///path         plain, never through an HTTP proxy
//	dns:[//authority/]host[:port]    plain, all addresses of the name
//	dns+tls:...                      the same with TLS
//
// # Health
//
// [Pool.Probe] asks the node's health service, on the multiplexed connection,
// and says what a failure means:
//
//	refused, cannot be reached, broke     [ErrUnreachable]    sick at once
//	no answer before the deadline         [ErrTimeout]        a miss
//	any answer but SERVING                [ErrNotServing]     sick at once
//	stream reset, Canceled,               [ErrInconclusive]   no sickness
//	ResourceExhausted, GOAWAY
//
// A failure made on this side and an answer of the node can have the same
// code. They are told apart by the answer's metadata, and failures of this
// side by what became of the connection, which is waited for.
//
// OnBroken of [Dependencies] tells of a connection that broke before the next
// probe would. It is a hint to probe: a node that closes in good order while
// calls are in flight looks the same.
//
// # Failures
//
//	address that nobody understands   [Dial] fails
//	node down, or not multiplexing    calls fail with Unavailable
//	plain connections not possible    reads go on the multiplexed one
//	node stops reading                writes fail after 10 s, the connection breaks
//	connection breaks                 calls on it fail, contexts of votes end
//	pool is closed                    the same, and Close waits for the votes
//
// # Concurrency
//
// A pool never changes after Dial; everything is safe for concurrent use.
package backend
