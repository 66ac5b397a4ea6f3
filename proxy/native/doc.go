// Package native answers the calls that clients make to the cluster as a whole: whether a
// repository exists, its removal, the list of repositories, the pool that a repository is linked
// to, and what the servers are. Everything else is relayed to nodes.
//
// Only some methods of RepositoryService, ObjectPoolService and InternalGitaly are answered here,
// so these services are registered with those methods alone; the server hands a method that it
// does not know to the relay.
//
// Errors of the coordinator are returned wrapped but otherwise as they are: package proxy has the
// one table that turns them into codes. What is wrong with a request is a status right here.
//
// Calls to nodes are made with the context of the client's call. Package proxy has put into it what
// nodes have to be told for a client: its metadata without its credentials, and feature flags.
//
// The package keeps no state. Everything in it is safe for concurrent use.
package native
