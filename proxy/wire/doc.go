// Package wire finds and replaces the few fields of an encoded protobuf message that a proxy
// must look at, without decoding the rest.
//
// A field is named by the numbers of the fields that lead to it. [Locate] and [LocateString]
// read a repository or a string, [Rewrite] and [RewriteString] put new values in and correct
// the lengths of all enclosing messages. Everything else, unknown fields included, keeps its
// bytes and its place; the new value has the place of the old one.
//
// The result always agrees with what a decoder makes of the message: a message that occurs
// several times is merged, the last of several scalars wins, and a field of an unexpected wire
// type is unknown. So only the last occurrence is replaced, and the output is never longer than
// the input, the new values and a few bytes of lengths. One rule of decoders is not followed:
// members of a oneof do not exclude each other. A request that sets two of them is routed by
// the repository in it and refused by the node.
//
// The package knows no method and no descriptor. It neither keeps nor changes what it is given,
// and its functions may be called concurrently. Reading allocates nothing but the strings that
// it returns, rewriting one buffer.
package wire
