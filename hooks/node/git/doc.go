// Package git runs Git on the repositories of a node.
//
// A [Git] starts processes in an environment of its own: no configuration of the user or the
// system, no locale, none of the GIT_ variables of the node, and the node's settings on the command
// line, where nothing in a repository can override them. It waits for what it starts. It does not
// know storages, calls or votes; whoever wants hooks to run says where they lie.
//
// # Ends of a process
//
// Reading commands are ended when the context of the call ends. Commands that change a repository
// must end by themselves, because a Git that is killed while it holds locks leaves them behind: run
// those with a context that is never cancelled, and close their input to make them give up. An
// [Updater] works like that.
//
// When the node dies, however it does, the kernel kills its Git processes (on Linux). That is the
// one case in which locks are left behind; the node removes them when it starts again.
//
// # Failures
//
// A command that fails returns an [*Error] with the end of what it wrote to standard error.
// Predicates on it tell the failures apart that a caller can do something about.
//
// # Concurrency
//
// A Git may be used concurrently. An Updater belongs to one goroutine.
package git
