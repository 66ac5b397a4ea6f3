package e2e_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// audit makes the database remember every replica that a write leaves behind, however short: a
// repair may bring it back before anybody looks.
const audit = `
	CREATE SCHEMA audit;
	CREATE TABLE audit.left_behind (repository_id bigint, storage text, generation bigint);

	CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO audit.left_behind
		SELECT r.id, c.storage, r.generation
		FROM praefect.repositories AS r JOIN praefect.replicas AS c ON c.repository_id = r.id
		WHERE r.id = NEW.id AND c.assigned AND c.generation = NEW.generation - 1;
		RETURN NULL;
	END $$;

	-- Deferred to the end of the transaction, when all rows have their final state.
	CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON praefect.repositories
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		WHEN (NEW.generation > OLD.generation) EXECUTE FUNCTION audit.note();`

// startAudit begins the audit of a cluster.
func (r *rig) startAudit(t *testing.T) {
	t.Helper()

	conn, err := pgx.Connect(t.Context(), r.Database().DSN())
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // Nothing is under way.
	_, err = conn.Exec(t.Context(), audit)
	require.NoError(t, err)
}

// leftBehind lists the storages that any write has left behind, once for each time.
func (r *repository) leftBehind(t *testing.T) []string {
	t.Helper()

	conn, err := pgx.Connect(t.Context(), r.rig.Database().DSN())
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // Nothing is under way.

	rows, err := conn.Query(t.Context(), `
		SELECT b.storage
		FROM audit.left_behind AS b JOIN praefect.repositories AS r ON r.id = b.repository_id
		WHERE r.relative_path = $1`, r.proto.GetRelativePath())
	require.NoError(t, err)
	storages, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)

	return storages
}
