-- Makes a repository invisible and frees its path, under the turn; a creation has none. It is kept
-- as long as a node may be at work. The repository is locked.
WITH base AS (
    SELECT r.id, r.state, r.virtual_storage, r.relative_path
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state <> 'deleting'
), intent AS (
    DELETE FROM praefect.write_intents AS i
     USING base
     WHERE i.repository_id = base.id
       AND i.write_id = @write
       AND NOT i.marked
       AND i.adopter = 0
    RETURNING CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END
), fit AS (
    SELECT base.id, base.virtual_storage, base.relative_path
      FROM base
     WHERE CASE WHEN base.state = 'creating' THEN @write::bigint = 0
                ELSE EXISTS (SELECT FROM intent) END
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM fit
    RETURNING c.last
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT number.last, fit.id, fit.virtual_storage, fit.relative_path
      FROM number, fit
    RETURNING pg_notify('praefect', 'invalidated')
), deleted AS (
    UPDATE praefect.repositories AS r
       SET state       = 'deleting',
           creator     = NULL,
           invalidated = number.last,
           work_due_at = now() + @grace * interval '1 millisecond',
           keep_until  = nullif(greatest(now() + @keep * interval '1 millisecond', (
               SELECT max(p.settles_at) FROM praefect.replicas AS p WHERE p.repository_id = @id
           )), now())
      FROM fit, number
     WHERE r.id = fit.id
    RETURNING r.id
)
SELECT EXISTS (SELECT FROM base), EXISTS (SELECT FROM deleted)
