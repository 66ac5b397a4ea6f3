package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// entryRow is how an entry of the journal is sent.
type entryRow struct {
	At             time.Time                `json:"at"`
	Event          coordinator.Event        `json:"event"`
	Notable        bool                     `json:"notable"`
	RepositoryID   coordinator.RepositoryID `json:"repository_id"`
	VirtualStorage string                   `json:"virtual_storage"`
	RelativePath   string                   `json:"relative_path"`
	Details        coordinator.EntryDetails `json:"details"`
}

// AppendEntries adds entries of the named proxy to the journal, in their order.
func (s *Store) AppendEntries(
	ctx context.Context, proxy string, entries []coordinator.Entry,
) error {
	rows := make([]entryRow, 0, len(entries))
	for _, entry := range entries {
		rows = append(rows, entryRow{
			At: entry.At, Event: entry.Event, Notable: entry.Notable,
			RepositoryID:   entry.Repository,
			VirtualStorage: string(entry.Key.VirtualStorage),
			RelativePath:   entry.Key.RelativePath, Details: entry.Details,
		})
	}
	document, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode entries: %w", err)
	}
	return s.execute(ctx, appendEntriesSQL, arguments{
		"proxy": proxy, "entries": string(document),
	})
}

// PruneEntries forgets the oldest entries of the journal beyond those that are kept of each kind,
// at most so many as one pruning may delete.
func (s *Store) PruneEntries(ctx context.Context, keep int) error {
	return s.execute(ctx, pruneEntriesSQL, arguments{"keep": keep, "limit": pruneMax})
}

// EntryQuery says which entries of the journal are asked for. Key may be empty, or have only its
// virtual storage.
type EntryQuery struct {
	Key coordinator.Key
	// Notable leaves out writes that simply went well, or simply did not happen.
	Notable bool
	Limit   int
}

// KeptEntry is an entry of the journal and the name of the proxy that wrote it.
type KeptEntry struct {
	coordinator.Entry

	Proxy string
}

// Entries lists entries of the journal, the newest first.
func (s *Store) Entries(ctx context.Context, query EntryQuery) ([]KeptEntry, error) {
	return read(ctx, s, listEntriesSQL, arguments{
		"virtual_storage": string(query.Key.VirtualStorage),
		"relative_path":   query.Key.RelativePath,
		"notable":         query.Notable, "limit": query.Limit,
	}, func(row pgx.CollectableRow) (KeptEntry, error) {
		var (
			entry   KeptEntry
			details []byte
		)
		err := row.Scan(&entry.At, &entry.Event, &entry.Notable, &entry.Repository,
			&entry.Key.VirtualStorage, &entry.Key.RelativePath, &entry.Proxy, &details)
		if err != nil {
			return entry, fmt.Errorf("scan entry: %w", err)
		}
		if err := json.Unmarshal(details, &entry.Details); err != nil {
			return entry, fmt.Errorf("decode entry: %w", err)
		}
		return entry, nil
	})
}
