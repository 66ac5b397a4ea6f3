-- What an existing Praefect has written to the tables of existing_schema.sql.
INSERT INTO public.repositories
       (repository_id, virtual_storage, relative_path, replica_path, generation, "primary") VALUES
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
INSERT INTO public.node_status
       (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at) VALUES
    ('praefect-0', 'default', 'gitaly-1', now() - interval '2 minutes', now());
