// Package backchannel lets one connection carry calls in both directions and
// raw streams beside them.
//
// A node votes by calling the proxy back, and the server of a fetch sends its
// bulk bytes past gRPC. Both go over the connection on which the call came in,
// so they reach the very process that waits for them. The connection is
// multiplexed with yamux below gRPC. There are two places: the proxy is the
// mux client ([Client]) of every node, and its own listeners accept both plain
// and multiplexed clients ([Server]); so do those of the bundled node.
//
// [Plain] is for connections that need none of this, and are only watched for
// their end.
//
// The package does not know what is called, who may call, or what a
// sidechannel carries; see package sidechannel.
//
// # Bytes
//
// After the connection is made, and after its TLS handshake if it has one,
// the mux client writes the 11 bytes "backchannel" and goes on in yamux
// without waiting for an answer. Its first stream (id 1) carries HTTP/2 from
// client to server. A server reads 11 bytes from every connection; any other
// 11 bytes are those of plain HTTP/2 ("PRI * HTTP/"). Nothing is negotiated.
//
//	client  62 61 63 6b 63 68 61 6e 6e 65 6c        backchannel
//	client  00 01 00 01 00000001 00fc0000           open stream 1, window 16 MiB
//	client  00 00 00 00 00000001 00000018 + 24      HTTP/2 preface
//	server  00 01 00 02 00000001 00fc0000           stream 1 accepted
//	server  00 01 00 01 00000002 00fc0000           open stream 2 towards the client
//	client  00 01 00 02 00000002 00fc0000           stream 2 accepted
//	server  00 00 00 00 00000002 ........ + n       HTTP/2 preface, or "sidechannel"
//
// A frame of yamux has 12 bytes in network order: version 0; type (0 data, 1
// window update, 2 ping, 3 go away); flags (1 SYN, 2 ACK, 4 FIN, 8 RST);
// stream; length of the data, growth of the window, ping id or error code.
// Every window starts at 256 KiB; the first frame in each direction raises it
// to the configured size. The server's streams have even ids. Pings are
// answered, none are sent.
//
// The server opens any number of streams over the life of the connection: its
// gRPC client drops idle ones and comes back. Each begins with an HTTP/2
// preface or with "sidechannel". They are accepted at once, because a server
// may allow itself a single unaccepted one and gives up the connection after
// 75 s. The client opens the first stream only; a second one ends the
// connection.
//
// # States
//
//	mux client   TLS -> word -> first stream -> serving -> ended
//	mux server   TLS -> 11 bytes -> plain
//	                             -> first stream -> peer with an id -> ended
//
// One TCP connection is one session is one HTTP/2 connection of the client
// and all streams of the server. Whatever ends one of them first ends all,
// except a server's streams, which end alone.
//
// # Failures
//
//	silent before its first HTTP/2 frame   closed after HandshakeTimeout, and when
//	                                       the listener closes
//	peer does not read                     a write fails after WriteTimeout, and gRPC
//	                                       closes the connection
//	peer does not accept a stream          the connection ends after StreamOpenTimeout
//	peer does not close a closed stream    it is reset after StreamCloseTimeout
//	peer sends more than its window        the connection ends
//	connection ends                        calls in both directions fail, their
//	                                       contexts end, streams read EOF;
//	                                       [Services].Broken is told
//	call back after the end                [ErrNoPeer]
//
// A stream that reads EOF may have been cut: only the status of the call it
// belongs to says that it is whole.
//
// # Memory
//
// A reader that stands still makes its stream hold up to StreamWindow bytes
// (the library's buffer may be twice as large). The library copies each
// frame once on either side.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. [Client.Close] and
// [Peers.Close] wait for every goroutine that the package started; handlers
// of [Services] are part of that.
package backchannel
