-- The tables of the existing release that matter to a move, as its migrations leave them: names,
-- types, keys and what its triggers do, which is to tell of all rows of a statement in one
-- notification, so that a statement that changes too many rows fails.
CREATE TYPE public.replication_job_state AS ENUM
    ('ready', 'in_progress', 'completed', 'cancelled', 'failed', 'dead');

CREATE TABLE public.repositories (
    virtual_storage text NOT NULL, relative_path text NOT NULL, generation bigint, "primary" text,
    repository_id bigserial PRIMARY KEY, replica_path text
);
CREATE UNIQUE INDEX ON public.repositories (virtual_storage, relative_path);
CREATE INDEX ON public.repositories (replica_path, virtual_storage);
CREATE TABLE public.storage_repositories (
    virtual_storage text, relative_path text, storage text, generation bigint NOT NULL,
    repository_id bigint NOT NULL REFERENCES public.repositories ON DELETE CASCADE,
    verified_at timestamptz, verification_leased_until timestamptz,
    PRIMARY KEY (virtual_storage, relative_path, storage), UNIQUE (repository_id, storage)
);
CREATE TABLE public.repository_assignments (
    virtual_storage text, relative_path text, storage text,
    repository_id bigint NOT NULL REFERENCES public.repositories ON DELETE CASCADE,
    PRIMARY KEY (virtual_storage, relative_path, storage), UNIQUE (repository_id, storage),
    FOREIGN KEY (virtual_storage, relative_path)
        REFERENCES public.repositories (virtual_storage, relative_path)
        ON UPDATE CASCADE ON DELETE CASCADE
);

CREATE TABLE public.replication_queue_lock (
    id text PRIMARY KEY, acquired boolean NOT NULL DEFAULT false
);
CREATE TABLE public.replication_queue (
    id bigserial PRIMARY KEY, state public.replication_job_state NOT NULL DEFAULT 'ready',
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'), updated_at timestamp,
    attempt integer NOT NULL DEFAULT 3, lock_id text, job jsonb, meta jsonb
);
CREATE UNIQUE INDEX ON public.replication_queue
       ((job ->> 'virtual_storage'), (job ->> 'relative_path'))
 WHERE state NOT IN ('completed', 'cancelled', 'dead') AND job ->> 'change' = 'delete_replica';
CREATE TABLE public.replication_queue_job_lock (
    job_id bigint REFERENCES public.replication_queue,
    lock_id text REFERENCES public.replication_queue_lock,
    triggered_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    PRIMARY KEY (job_id, lock_id)
);
CREATE TABLE public.node_status (
    id bigserial PRIMARY KEY, praefect_name varchar(511) NOT NULL,
    shard_name varchar(255) NOT NULL, node_name varchar(255) NOT NULL,
    last_contact_attempt_at timestamptz, last_seen_active_at timestamptz,
    UNIQUE (praefect_name, shard_name, node_name)
);

CREATE FUNCTION public.tell_of_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], (SELECT json_agg(DISTINCT relative_path)::text FROM changed));
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER DELETE ON public.repositories REFERENCING OLD TABLE AS changed
   FOR EACH STATEMENT EXECUTE FUNCTION public.tell_of_rows('repositories_updates');
CREATE TRIGGER tell_deleted AFTER DELETE ON public.storage_repositories
       REFERENCING OLD TABLE AS changed
   FOR EACH STATEMENT EXECUTE FUNCTION public.tell_of_rows('storage_repositories_updates');
CREATE TRIGGER tell_inserted AFTER INSERT ON public.storage_repositories
       REFERENCING NEW TABLE AS changed
   FOR EACH STATEMENT EXECUTE FUNCTION public.tell_of_rows('storage_repositories_updates');
