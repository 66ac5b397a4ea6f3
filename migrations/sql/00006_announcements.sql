-- +goose Up
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE praefect.announcements (
    write_id      bigint      NOT NULL PRIMARY KEY,
    repository_id bigint      NOT NULL REFERENCES praefect.repositories (id) ON DELETE CASCADE,
    incarnation   bigint      NOT NULL,
    participants  text[]      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX announcements_repository ON praefect.announcements (repository_id);

COMMENT ON TABLE praefect.announcements IS
    'calls under way that may change something without a vote: who finds one whose proxy is gone '
    'has the replicas compared';
COMMENT ON COLUMN praefect.announcements.incarnation IS 'the proxy that carries the call';
COMMENT ON COLUMN praefect.announcements.participants IS 'storages whose nodes are asked';

-- +goose Down
DROP TABLE praefect.announcements;
