-- +goose Up
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE praefect.replicas ADD COLUMN filling boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN praefect.replicas.filling IS
    'assigned to a repository that was written before, and not current since: it is no copy that a '
    'write has to wait for';

-- +goose Down
ALTER TABLE praefect.replicas DROP COLUMN filling;
