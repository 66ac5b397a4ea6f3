package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// head is what HEAD says.
type head struct {
	target string // the reference that it points to; empty when it points to an object
	object string // the object that it resolves to; empty when there is none
}

// head reads HEAD. It is asked for with every list of references, so the help of Git, which costs
// two processes, is only taken when the files do not tell: packed references, chains of them, and
// reftable, where the file HEAD names a branch that cannot exist.
func (n *Node) head(ctx context.Context, dir string) (head, error) {
	if h, ok := looseHead(dir); ok {
		return h, nil
	}
	target, err := n.optional(ctx, dir, "symbolic-ref", "--quiet", "HEAD")
	if err != nil {
		return head{}, fmt.Errorf("read HEAD: %w", err)
	}
	object, err := n.optional(ctx, dir, "rev-parse", "--quiet", "--verify", "HEAD")
	if err != nil {
		return head{}, fmt.Errorf("resolve HEAD: %w", err)
	}

	return head{target: target, object: object}, nil
}

// looseHead reads HEAD if it names a reference that has a file of its own, or surely none. Git
// replaces each file as a whole.
func looseHead(dir string) (head, bool) {
	line, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return head{}, false
	}
	target, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "ref: ")
	if !ok || !strings.HasPrefix(target, "refs/") || !filepath.IsLocal(target) {
		return head{}, false
	}
	value, err := os.ReadFile(filepath.Join(dir, target))
	if errors.Is(err, fs.ErrNotExist) {
		return head{target: target}, !exists(dir, "packed-refs") && !exists(dir, "reftable")
	}
	object := strings.TrimSuffix(string(value), "\n")

	return head{target: target, object: object}, err == nil && isObjectID(object)
}

// exists tells whether there may be something of that name.
func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))

	return !errors.Is(err, fs.ErrNotExist)
}
