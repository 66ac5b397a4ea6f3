// Package githttp serves Git's smart HTTP protocol by calling the proxy, so that plain git can
// clone from a cluster and push to it. It is a gateway for trials and tests: it knows no users,
// no projects and no permissions.
//
//	GET  /<path>.git/info/refs?service=git-upload-pack    InfoRefsUploadPack
//	GET  /<path>.git/info/refs?service=git-receive-pack   InfoRefsReceivePack
//	POST /<path>.git/git-upload-pack                      PostUploadPackWithSidechannel
//	POST /<path>.git/git-receive-pack                     PostReceivePack
//
// The path is the relative path of the repository in the one virtual storage that is configured.
// Nothing is created. Versions of the Git protocol pass in the header Git-Protocol; requests may
// be compressed with gzip and sent in chunks. Request and answer pass each other, through buffers
// of fixed size.
//
// # Failures
//
//	unknown repository              404
//	wrong or missing password       401
//	permission denied by a node     403
//	gateway unknown to the cluster  502
//	no node can serve, busy         503, with the reason
//	conflict, lost vote             409
//	too many requests               503 here, 429 from the cluster
//	client breaks off               the call is cancelled; half a push never ends like a whole one
//	call fails after its first byte the connection is cut: no client takes the answer for whole
//
// The text of an error is plain, so git shows it to the user; that of a failed push ends with
// what the proxy knows of its effect.
//
// # Concurrency
//
// A [Handler] may be used concurrently. It answers as many requests at a time as it is configured
// for, and no goroutine is left when a request is answered.
package githttp
