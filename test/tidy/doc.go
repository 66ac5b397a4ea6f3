// Package tidy holds the rules of the tree that no linter knows: which folders there are, which
// package may import which, how long files and functions get, and a few words and calls that we do
// not want. It has tests only; `go test ./test/tidy` takes about a second and prints, for every
// finding, the place, the rule and its reason.
//
// Generated files are read for their imports and their package documentation, and left alone
// otherwise.
package tidy
