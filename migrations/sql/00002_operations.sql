-- +goose Up
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE praefect.repositories
    ADD COLUMN everywhere boolean NOT NULL DEFAULT false,
    ADD COLUMN sweeps     integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN praefect.repositories.everywhere IS
    'assigned to all storages that are configured, also those of later';
COMMENT ON COLUMN praefect.repositories.sweeps IS
    'how often the background has compared its replicas';

ALTER TABLE praefect.replicas
    ADD COLUMN verified_at               timestamptz,
    ADD COLUMN verification_leased_until timestamptz;

COMMENT ON COLUMN praefect.replicas.verified_at IS
    'when its node last said that it has the repository; null: as soon as possible';
COMMENT ON COLUMN praefect.replicas.verification_leased_until IS
    'until then a proxy is asking its node';

CREATE INDEX repositories_replica_path
    ON praefect.repositories (virtual_storage, replica_path);
CREATE INDEX replicas_verification
    ON praefect.replicas (virtual_storage, storage, verified_at NULLS FIRST, repository_id);
CREATE INDEX replicas_leased
    ON praefect.replicas (verification_leased_until)
    WHERE verification_leased_until IS NOT NULL;
CREATE INDEX replicas_surplus
    ON praefect.replicas (virtual_storage, storage)
    WHERE NOT assigned;

CREATE TABLE praefect.walks (
    virtual_storage text        NOT NULL,
    storage         text        NOT NULL,
    begun_at        timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (virtual_storage, storage)
);

COMMENT ON TABLE praefect.walks IS
    'when the disk of a storage was last looked through for repositories that nobody knows';
COMMENT ON COLUMN praefect.walks.ends_at IS
    'until then whoever began it last is at it';

-- +goose Down
DROP TABLE praefect.walks;
DROP INDEX praefect.replicas_surplus;
DROP INDEX praefect.replicas_leased;
DROP INDEX praefect.replicas_verification;
DROP INDEX praefect.repositories_replica_path;
ALTER TABLE praefect.replicas
    DROP COLUMN verification_leased_until,
    DROP COLUMN verified_at;
ALTER TABLE praefect.repositories
    DROP COLUMN sweeps,
    DROP COLUMN everywhere;
