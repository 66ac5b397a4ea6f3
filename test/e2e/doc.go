// Package e2e tests the whole with real processes, real Git and a real PostgreSQL: what a user who
// pushes, and an operator who watches, must be able to rely on. It has tests only.
//
// One PostgreSQL server serves all tests, each cluster in a database of its own. Tests run in
// parallel, each on its own cluster unless it says otherwise.
//
// Files: rig_test.go starts clusters; checkout_test.go is a Git client; disk_test.go looks at what
// lies on the nodes' disks; metadata_test.go at what the metadata say; hooks_test.go replaces the
// hooks program of a node by one that can be stopped at any point or votes differently. The other
// files hold one group of promises each.
package e2e
