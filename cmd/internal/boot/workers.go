package boot

import (
	"context"

	"praefect/coordinator/recovery"
	"praefect/coordinator/removal"
	"praefect/coordinator/repair"
	"praefect/proxy/digest"
	"praefect/proxy/replicate"
)

// nodeCopier lets the repair worker copy and remove replicas by calls to nodes.
type nodeCopier struct{ copier *replicate.Copier }

// Copy implements [repair.Copier].
func (c nodeCopier) Copy(ctx context.Context, job repair.Job) error {
	source := replicate.Replica{
		VirtualStorage: string(job.VirtualStorage),
		Storage:        string(job.Source),
		Path:           job.ReplicaPath,
	}
	if job.Afresh {
		if err := c.copier.Begin(ctx, source, string(job.Target)); err != nil {
			return err
		}
	}

	return c.copier.Copy(ctx, source, string(job.Target))
}

// Remove implements [repair.Copier].
func (c nodeCopier) Remove(ctx context.Context, job repair.Job) error {
	return c.copier.Remove(ctx, replicate.Replica{
		VirtualStorage: string(job.VirtualStorage),
		Storage:        string(job.Target),
		Path:           job.ReplicaPath,
	})
}

// nodeRemover lets the removal worker remove replicas by calls to nodes.
type nodeRemover struct{ copier *replicate.Copier }

// Remove implements [removal.Remover].
func (r nodeRemover) Remove(ctx context.Context, replica removal.Replica) error {
	return r.copier.Remove(ctx, replicate.Replica{
		VirtualStorage: string(replica.VirtualStorage),
		Storage:        string(replica.Storage),
		Path:           replica.ReplicaPath,
	})
}

// nodeDigester lets recovery compare replicas by calls to nodes.
type nodeDigester struct{ digester *digest.Digester }

// Digest implements [recovery.Digester].
func (d nodeDigester) Digest(
	ctx context.Context, question recovery.Question,
) (string, error) {
	found, err := d.digester.Digest(ctx, digest.Question{
		VirtualStorage: string(question.VirtualStorage),
		Storage:        string(question.Storage),
		Path:           question.ReplicaPath,
		Kind:           digest.Kind(question.Kind),
	})
	if found == digest.Absent {
		return recovery.Absent, err
	}
	return found, err
}
