package boot

import (
	"context"

	"praefect/coordinator"
	"praefect/coordinator/placement"
	"praefect/proxy/replicate"
)

// surplusRemover lets placement remove replicas by calls to nodes.
type surplusRemover struct{ copier *replicate.Copier }

// Remove implements [placement.Remover].
func (r surplusRemover) Remove(ctx context.Context, replica coordinator.Surplus) error {
	return r.copier.Remove(ctx, replicate.Replica{
		VirtualStorage: string(replica.Key.VirtualStorage),
		Storage:        string(replica.Storage),
		Path:           replica.ReplicaPath,
	})
}

// startPlacement starts what puts replicas where they are meant to be.
func (s *server) startPlacement() error {
	worker, err := placement.New(placement.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Turns:      s.coordinator,
		Remover:    surplusRemover{s.copier},
		Health:     s.health,
		Registerer: s.metrics,
		Journal:    s.journal,
	}, s.log.Named("placement"), placement.Config{
		Keep: s.Config.Transactions.Coordinator().NodeDeadline,
	})
	if err != nil {
		return err
	}
	s.workers.run(worker.Run)

	return nil
}
