-- Whether the tables of the existing release are there.
SELECT to_regclass('public.repositories') IS NOT NULL
   AND to_regclass('public.storage_repositories') IS NOT NULL
   AND to_regclass('public.repository_assignments') IS NOT NULL
   AND to_regclass('public.replication_queue') IS NOT NULL
   AND to_regclass('public.node_status') IS NOT NULL
