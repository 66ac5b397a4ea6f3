-- The tables of the existing release that matter here, as its migrations leave them, and some rows.
CREATE TABLE public.repositories (
    repository_id bigserial PRIMARY KEY, virtual_storage text, relative_path text,
    replica_path text, generation bigint, "primary" text,
    UNIQUE (virtual_storage, relative_path)
);
CREATE TABLE public.storage_repositories (
    virtual_storage text, relative_path text, storage text, generation bigint NOT NULL,
    repository_id bigint REFERENCES public.repositories ON DELETE CASCADE,
    verified_at timestamptz, verification_leased_until timestamptz,
    PRIMARY KEY (virtual_storage, relative_path, storage), UNIQUE (repository_id, storage)
);
CREATE TABLE public.repository_assignments (
    virtual_storage text, relative_path text, storage text,
    repository_id bigint REFERENCES public.repositories ON DELETE CASCADE,
    PRIMARY KEY (virtual_storage, relative_path, storage), UNIQUE (repository_id, storage),
    FOREIGN KEY (virtual_storage, relative_path)
        REFERENCES public.repositories (virtual_storage, relative_path)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE public.replication_queue_lock (id text PRIMARY KEY, acquired boolean NOT NULL);
CREATE TABLE public.replication_queue (
    id bigserial PRIMARY KEY, state text NOT NULL, created_at timestamp DEFAULT now(),
    updated_at timestamp, attempt integer DEFAULT 3, lock_id text, job jsonb, meta jsonb
);
CREATE TABLE public.replication_queue_job_lock (
    job_id bigint REFERENCES public.replication_queue,
    lock_id text REFERENCES public.replication_queue_lock, triggered_at timestamp,
    PRIMARY KEY (job_id, lock_id)
);
CREATE TABLE public.node_status (
    praefect_name text, shard_name text, node_name text, last_contact_attempt_at timestamptz,
    last_seen_active_at timestamptz, UNIQUE (praefect_name, shard_name, node_name)
);

INSERT INTO public.repositories VALUES
    (1, 'default', '@hashed/aa/bb/one.git', '@hashed/aa/bb/one.git', 5, 'gitaly-1'),
    (2, 'default', 'two.git', '@cluster/repositories/d4/73/2', 0, 'gitaly-2'),
    (3, 'default', 'lost.git', NULL, NULL, NULL),
    (4, 'elsewhere', 'four.git', NULL, 1, 'other'),
    (5, 'default', 'five.git', '@cluster/repositories/ef/2d/5', 3, 'gitaly-1');
INSERT INTO public.storage_repositories
       (repository_id, virtual_storage, relative_path, storage, generation, verified_at) VALUES
    (1, 'default', '@hashed/aa/bb/one.git', 'gitaly-1', 5, '2026-01-02 03:04:05+00'),
    (1, 'default', '@hashed/aa/bb/one.git', 'gitaly-2', 4, NULL),
    (2, 'default', 'two.git', 'gitaly-2', 0, NULL),
    (2, 'default', 'two.git', 'gitaly-9', 0, NULL),
    (4, 'elsewhere', 'four.git', 'other', 1, NULL),
    (5, 'default', 'five.git', 'gitaly-1', 3, NULL),
    (5, 'default', 'five.git', 'gitaly-3', 3, NULL);
INSERT INTO public.repository_assignments (repository_id, virtual_storage, relative_path, storage)
VALUES (2, 'default', 'two.git', 'gitaly-2'), (2, 'default', 'two.git', 'gitaly-3'),
       (5, 'default', 'five.git', 'gitaly-1');
INSERT INTO public.replication_queue_lock VALUES ('default|gitaly-3|five.git', true);
INSERT INTO public.replication_queue (id, state, job) VALUES (1, 'in_progress',
    '{"change": "delete_replica", "virtual_storage": "default", "relative_path": "five.git",
      "target_node_storage": "gitaly-3"}');
INSERT INTO public.replication_queue_job_lock VALUES (1, 'default|gitaly-3|five.git', now());
INSERT INTO public.node_status VALUES
    ('praefect-0', 'default', 'gitaly-1', now() - interval '2 minutes', now());
