// Package certificate keeps certificates, keys and authorities of TLS up to date with the files
// that they come from, so that a renewed certificate needs no restart.
//
// It decides nothing about who may call: a peer's certificate only has to be signed by a configured
// authority. It does not listen and does not connect.
//
// # States
//
// [Load] reads the files and fails when they cannot be used. From then on [Store.Run] looks at them
// again and again. When their content has changed and can be used, the next handshake uses it;
// connections that are open go on with what they have. When it cannot be used, the old one stays,
// with a warning each time that the files change: a certificate that is being replaced is for a
// moment one that does not belong to its key.
//
// # Concurrency
//
// Everything is safe for concurrent use.
package certificate
