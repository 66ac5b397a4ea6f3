package coordinator

import (
	"context"
	"errors"
	"fmt"
)

// walkPage bounds the paths that are in memory at once while a virtual storage is listed.
const walkPage = 1000

// Exists says whether a repository is visible under that key. An unknown virtual storage has no
// repositories.
func (c *Coordinator) Exists(ctx context.Context, key Key) (bool, error) {
	group, ok := c.groups[key.VirtualStorage]
	if !ok {
		return false, nil
	}
	_, err := group.routes.get(ctx, key.RelativePath)
	switch {
	case errors.Is(err, ErrRepositoryNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for %s: %w", key, err)
	default:
		return true, nil
	}
}

// Walk calls a function with the relative path of every visible repository, in order. It stops at
// the first error and returns it.
func (c *Coordinator) Walk(
	ctx context.Context, virtualStorage VirtualStorage, visit func(relativePath string) error,
) error {
	if _, err := c.group(virtualStorage); err != nil {
		return err
	}
	page := Page{VirtualStorage: virtualStorage, Limit: walkPage}
	for {
		paths, err := c.store.Paths(ctx, page)
		if err != nil {
			return fmt.Errorf("walk %q: %w", virtualStorage, err)
		}
		for _, path := range paths {
			if err := visit(path); err != nil {
				return err
			}
		}
		if len(paths) < page.Limit {
			return nil
		}
		page.After = paths[len(paths)-1]
	}
}

// ByID returns a visible repository by the id that its path on disk ends with.
func (c *Coordinator) ByID(ctx context.Context, id RepositoryID) (Repository, error) {
	repository, err := c.loadReady(ctx, id)
	if err != nil {
		return Repository{}, fmt.Errorf("look for repository %d: %w", id, err)
	}
	return repository, nil
}
