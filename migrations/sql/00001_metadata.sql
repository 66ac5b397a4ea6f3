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
    invalidated     bigint      NOT NULL DEFAULT 0,
    creator         bigint,
    verify_due_at   timestamptz,
    verify_doubtful boolean     NOT NULL DEFAULT false,
    verify_asked    bigint      NOT NULL DEFAULT 0,
    verify_begun_at timestamptz,
    work_due_at     timestamptz,
    keep_until      timestamptz,
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
    'identity of the write recorded last, so that a record can be repeated; negative when a recovery
     decided about it';
COMMENT ON COLUMN praefect.repositories.invalidated IS 'the last of its invalidations, or 0';
COMMENT ON COLUMN praefect.repositories.creator IS
    'incarnation that creates it; when that has ended the creation is undone';
COMMENT ON COLUMN praefect.repositories.verify_due_at IS
    'since when the replicas should be compared';
COMMENT ON COLUMN praefect.repositories.verify_doubtful IS
    'the comparison was asked for by a recovery';
COMMENT ON COLUMN praefect.repositories.verify_asked IS
    'raised by each request for a comparison and each claim of one';
COMMENT ON COLUMN praefect.repositories.verify_begun_at IS
    'when a comparison was claimed last; what settles later is compared again';
COMMENT ON COLUMN praefect.repositories.work_due_at IS
    'when a worker may go on with a removal';
COMMENT ON COLUMN praefect.repositories.keep_until IS
    'removals that were claimed before do not count, since a node may still be at work';

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
    settles_at      timestamptz,
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
COMMENT ON COLUMN praefect.replicas.settles_at IS
    'until then its node may act on a write that was decided without it; a repair removes it first';

CREATE INDEX replicas_repair
    ON praefect.replicas (virtual_storage, storage, repair_rank, repair_due_at)
    WHERE repair_due_at IS NOT NULL;

CREATE TABLE praefect.write_intents (
    repository_id bigint      NOT NULL PRIMARY KEY
        REFERENCES praefect.repositories (id) ON DELETE CASCADE,
    write_id      bigint      NOT NULL,
    incarnation   bigint      NOT NULL,
    kind          text        NOT NULL,
    participants  text[]      NOT NULL,
    wanted        boolean     NOT NULL DEFAULT false,
    marked        boolean     NOT NULL DEFAULT false,
    ended         text[]      NOT NULL DEFAULT '{}',
    adopter       bigint      NOT NULL DEFAULT 0,
    adoption      bigint      NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE praefect.write_intents IS
    'held turns: while there is a row, nobody else changes generation, epoch or primary';
COMMENT ON COLUMN praefect.write_intents.incarnation IS 'the proxy that took the turn';
COMMENT ON COLUMN praefect.write_intents.kind IS 'what is written, hence what is to be compared';
COMMENT ON COLUMN praefect.write_intents.participants IS 'storages that may commit';
COMMENT ON COLUMN praefect.write_intents.wanted IS 'another proxy waits for the turn';
COMMENT ON COLUMN praefect.write_intents.marked IS 'left to recovery by its own proxy';
COMMENT ON COLUMN praefect.write_intents.ended IS
    'participants that are known to do nothing any more for the write';
COMMENT ON COLUMN praefect.write_intents.adopter IS
    'incarnation that brings the turn to its end instead of its own; or 0';
COMMENT ON COLUMN praefect.write_intents.adoption IS 'number of adoptions';

-- Few rows that change often: the free space lets updates stay in their page.
CREATE TABLE praefect.proxies (
    incarnation   bigint      NOT NULL PRIMARY KEY CHECK (incarnation > 0),
    name          text        NOT NULL,
    lease_ends_at timestamptz NOT NULL,
    applied       bigint      NOT NULL,
    healthy       jsonb,
    renewed_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 20);

COMMENT ON TABLE praefect.proxies IS 'lives of proxy processes';
COMMENT ON COLUMN praefect.proxies.name IS 'the same over restarts';
COMMENT ON COLUMN praefect.proxies.lease_ends_at IS
    'when it has ended for all others; it is never prolonged after that';
COMMENT ON COLUMN praefect.proxies.applied IS 'all invalidations up to this one are applied';
COMMENT ON COLUMN praefect.proxies.healthy IS
    'storages that it finds healthy, by virtual storage; null before its first report';

CREATE TABLE praefect.invalidation_counter (
    singleton boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (singleton),
    last bigint  NOT NULL
) WITH (fillfactor = 20);

COMMENT ON TABLE praefect.invalidation_counter IS
    'one row, locked until the end of each transaction that numbers an invalidation: a sequence
     would let a greater number be seen before a smaller one';

INSERT INTO praefect.invalidation_counter (last) VALUES (0);

CREATE TABLE praefect.invalidations (
    sequence        bigint      NOT NULL PRIMARY KEY,
    repository_id   bigint      NOT NULL,
    virtual_storage text        NOT NULL,
    relative_path   text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE praefect.invalidations IS
    'cached routes that are not to be used any more; kept until all proxies know';

-- +goose Down
DROP TABLE praefect.invalidations;
DROP TABLE praefect.invalidation_counter;
DROP TABLE praefect.proxies;
DROP TABLE praefect.write_intents;
DROP TABLE praefect.replicas;
DROP TABLE praefect.repositories;
