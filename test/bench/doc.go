// Command bench measures what the proxy costs.
//
// It starts a private PostgreSQL with fsync on, a process that is three null nodes, three
// bundled nodes as processes of their own, and the praefect of this tree (and beside it another
// one, when the environment variable PRAEFECT names it) as a process of its own, whose CPU time
// is read from /proc. Every workload runs directly against one node and through each proxy, in
// alternating slices, so that what else the machine does meets all of them. A line each:
//
//	bench name=... direct=... proxy=... ratio=... cpu_us=... p50_ms=... direct_p50_ms=... unit=...
//
// direct and proxy are operations (or megabytes) a second, ratio is proxy/direct, and cpu_us is
// CPU time of the proxy process per operation in microseconds. Streams add cpu_s_gb, CPU seconds
// per gigabyte. ratio_cpu is what ratio would be if nothing but the CPU time of clients, null nodes
// and proxy counted: it holds on a busy machine too. Another praefect adds other=...,
// other_ratio=..., other_cpu_us=..., other_ratio_cpu=... and other_p50_ms=...
//
// The line long_push has other figures, one line for each way: how long a push of many branches
// takes, and how long pushes of one branch to the same repository take alone, and beside it. It
// takes minutes and is there only if -run asks for it.
//
// The null nodes are one process, because a node has a machine of its own in life. As three
// processes on the processors of everything else, each with a third of the calls, they took
// more than twice as much CPU time for a call through the proxy as for the same call made directly,
// to one of them: a process that runs less often is woken for each call and finds its caches
// cold. That measured the machine, not the proxy. Now the same process does the same work at
// whatever way the calls come.
//
// A null node answers at once. To a call that carries transaction metadata it first casts two
// votes over the backchannel, PREPARED and COMMITTED; uploads it swallows; downloads it makes up.
//
// The command ends with code 1 when anything failed, be it a single operation.
package main
