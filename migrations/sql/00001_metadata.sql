-- +goose Up
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE SCHEMA IF NOT EXISTS praefect;

COMMENT ON SCHEMA praefect IS 'metadata of the cluster: which replica holds what';

CREATE TABLE praefect.repositories (
    id              bigint      NOT NULL PRIMARY KEY CHECK (id > 0),
    virtual_storage text        NOT NULL,
    relative_path   text        NOT NULL,
    replica_path    text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('creating', 'ready', 'deleting')),
    generation      bigint      NOT NULL DEFAULT 0,
    primary_storage text        NOT NULL,
    epoch           bigint      NOT NULL DEFAULT 1,
    last_write      bigint      NOT NULL DEFAULT 0,
    verify_due_at   timestamptz,
    work_due_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN praefect.repositories.id IS
    'random and never issued twice, because the path on disk is a function of it';
COMMENT ON COLUMN praefect.repositories.relative_path IS 'the path that clients use';
COMMENT ON COLUMN praefect.repositories.replica_path IS 'the path on the disks of all storages';
COMMENT ON COLUMN praefect.repositories.state IS
    'creating holds the path, ready is visible, deleting is kept until no disk has it';
COMMENT ON COLUMN praefect.repositories.generation IS 'number of recorded writes';
COMMENT ON COLUMN praefect.repositories.epoch IS 'number of primaries';
COMMENT ON COLUMN praefect.repositories.last_write IS
    'identity of the write recorded last, so that a record can be repeated';
COMMENT ON COLUMN praefect.repositories.verify_due_at IS
    'since when the replicas should be compared';
COMMENT ON COLUMN praefect.repositories.work_due_at IS
    'expiry of a creation, or when a worker may go on with a removal';

-- A path is free as soon as its repository is being deleted.
CREATE UNIQUE INDEX repositories_path ON praefect.repositories (virtual_storage, relative_path)
    WHERE state <> 'deleting';
CREATE INDEX repositories_work ON praefect.repositories (work_due_at)
    WHERE state <> 'ready';
CREATE INDEX repositories_verify ON praefect.repositories (verify_due_at)
    WHERE verify_due_at IS NOT NULL;

CREATE TABLE praefect.replicas (
    repository_id   bigint      NOT NULL
        REFERENCES praefect.repositories (id) ON DELETE CASCADE,
    storage         text        NOT NULL,
    virtual_storage text        NOT NULL,
    generation      bigint      NOT NULL DEFAULT -1 CHECK (generation >= -1),
    assigned        boolean     NOT NULL,
    joining         boolean     NOT NULL DEFAULT false,
    repair_due_at   timestamptz,
    repair_rank     smallint    NOT NULL DEFAULT 0,
    failures        integer     NOT NULL DEFAULT 0,
    last_error      text        NOT NULL DEFAULT '',
    claim_id        bigint      NOT NULL DEFAULT 0,
    claim_ends_at   timestamptz,
    PRIMARY KEY (repository_id, storage)
);

COMMENT ON COLUMN praefect.replicas.virtual_storage IS
    'that of the repository, here for the index';
COMMENT ON COLUMN praefect.replicas.generation IS
    'writes that are surely on the disk; -1 when nothing is known to be there';
COMMENT ON COLUMN praefect.replicas.assigned IS 'whether the storage is meant to have it';
COMMENT ON COLUMN praefect.replicas.joining IS
    'writes are sent to it already, because its repair is about to end';
COMMENT ON COLUMN praefect.replicas.repair_due_at IS
    'set exactly when the replica is assigned and outdated';
COMMENT ON COLUMN praefect.replicas.repair_rank IS
    'lowest first: good copies left when it fell behind, plus 1000 unless it is a pool';
COMMENT ON COLUMN praefect.replicas.failures IS 'failed repairs since it was last current';
COMMENT ON COLUMN praefect.replicas.claim_id IS
    'the last repair since it was current, with the right to write until claim_ends_at; or 0';

CREATE INDEX replicas_repair
    ON praefect.replicas (virtual_storage, storage, repair_rank, repair_due_at)
    WHERE repair_due_at IS NOT NULL;

-- +goose Down
DROP TABLE praefect.replicas;
DROP TABLE praefect.repositories;
