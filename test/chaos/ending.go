package main

import (
	"strings"

	"praefect/test/chaos/audit"
	"praefect/test/chaos/client"
	"praefect/test/chaos/history"
)

// ending turns what is on the disks, and which repositories are recorded, into final reads.
func (s *session) ending(result audit.Result) []history.Operation {
	ready := map[string]audit.Repository{}
	for _, r := range result.Repositories {
		if r.State == audit.Ready {
			ready[r.Path] = r
		}
	}

	var all []history.Operation
	for _, path := range s.world.Staying() {
		for storage, replica := range result.Replicas[ready[path].Replica] {
			all = append(all, s.final(storage, path, stayingValues(replica))...)
		}
	}

	// The last key of a path is that of the repository which is there now.
	keys := map[string]string{}
	for _, passing := range s.world.Passing() {
		keys[passing.Path] = passing.Key
	}
	for path, key := range keys {
		value := ""
		if r, there := ready[path]; there {
			value = client.Present
			for storage, replica := range result.Replicas[r.Replica] {
				all = append(all, s.final(storage, key, map[string]string{
					"refs/heads/main": replica.References["refs/heads/main"],
				})...)
			}
		}
		all = append(all, s.final("database", path,
			map[string]string{client.RegisterExists: value})...)
	}

	return all
}

// stayingValues are the registers of a repository that stays.
func stayingValues(replica audit.Replica) map[string]string {
	values := map[string]string{client.RegisterHead: client.HeadValue(replica.Head)}
	single, group := client.References()
	for _, name := range append(single, group...) {
		values[name] = replica.References[name]
	}
	_, values[client.RegisterHooks], _ = strings.Cut(replica.Hooks["note"], " ")

	return values
}

// final makes final reads of registers.
func (s *session) final(
	from, repository string, values map[string]string,
) []history.Operation {
	call, now := s.recorder.Call(), s.recorder.Now()
	var all []history.Operation
	for name, value := range values {
		all = append(all, history.Operation{
			Key:    history.Key{Repository: repository, Name: name},
			Action: history.Read, Value: value, Result: history.Acknowledged,
			Call: call, Client: s.workers, Method: "disk", Via: from, Group: client.GroupOf(name),
			Primary: true, Final: true, Start: now, End: now + 1,
		})
	}

	return all
}
