package coordinator

import (
	"fmt"
	"slices"
)

// storagesMax bounds the storages of one virtual storage, because a cached route keeps sets of
// them in the bits of one word. Clusters have three to nine.
const storagesMax = 32

// Cluster is what the configuration says about the virtual storages.
type Cluster struct {
	VirtualStorages map[VirtualStorage]VirtualStorageConfig
}

// VirtualStorageConfig describes one virtual storage.
type VirtualStorageConfig struct {
	// Storages lists the nodes' storages, at most 32, each once. Replicas on storages that are
	// not listed are remembered, but neither read nor written.
	Storages []Storage
	// Near lists those of Storages that are close to this process, if any are told from the
	// others: reads go to them first.
	Near []Storage
	// MinimumCopies is the number of assigned replicas that must take part in a write. Zero
	// means a majority of the assigned ones, and 1 when at most two are assigned.
	MinimumCopies int
	// DefaultReplicationFactor is the number of storages a new repository is assigned to. Zero
	// means all.
	DefaultReplicationFactor int
}

// Places lists the storages of all virtual storages that a function picks, in no order; nil picks
// all.
func (c Cluster) Places(pick func(VirtualStorage, Storage) bool) []Place {
	var places []Place
	for name, config := range c.VirtualStorages {
		for _, storage := range config.Storages {
			if pick == nil || pick(name, storage) {
				places = append(places, Place{VirtualStorage: name, Storage: storage})
			}
		}
	}
	return places
}

// Validate checks that every virtual storage has storages, none of them twice or without a name,
// and that the numbers can be met. Errors match [ErrInvalidCluster].
func (c Cluster) Validate() error {
	for name, config := range c.VirtualStorages {
		if err := config.validate(name); err != nil {
			return fmt.Errorf("virtual storage %q: %w", name, err)
		}
	}
	return nil
}

func (c VirtualStorageConfig) validate(name VirtualStorage) error {
	count := len(c.Storages)
	sorted := slices.Sorted(slices.Values(c.Storages))
	switch {
	case name == "":
		return fmt.Errorf("%w: it has no name", ErrInvalidCluster)
	case count == 0:
		return fmt.Errorf("%w: it has no storages", ErrInvalidCluster)
	case count > storagesMax:
		return fmt.Errorf("%w: %d storages are more than %d", ErrInvalidCluster, count, storagesMax)
	case sorted[0] == "":
		return fmt.Errorf("%w: a storage has no name", ErrInvalidCluster)
	case len(slices.Compact(sorted)) != count:
		return fmt.Errorf("%w: a storage is listed twice", ErrInvalidCluster)
	case c.MinimumCopies < 0 || c.MinimumCopies > count:
		return fmt.Errorf("%w: minimum_copies %d is not between 0 and %d",
			ErrInvalidCluster, c.MinimumCopies, count)
	case c.DefaultReplicationFactor < 0 || c.DefaultReplicationFactor > count:
		return fmt.Errorf("%w: default_replication_factor %d is not between 0 and %d",
			ErrInvalidCluster, c.DefaultReplicationFactor, count)
	}
	return nil
}

// minimumCopies is the floor of a write on a repository with so many assigned replicas. A
// configured minimum above that number cannot be met, so it is cut to it.
func (c VirtualStorageConfig) minimumCopies(assigned int) int {
	switch {
	case assigned <= 1:
		return 1
	case c.MinimumCopies > 0:
		return min(c.MinimumCopies, assigned)
	case assigned == 2:
		return 1
	default:
		return assigned/2 + 1
	}
}
