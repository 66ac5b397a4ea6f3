-- Which of some repositories are still there.
SELECT id FROM praefect.repositories WHERE id = ANY (@ids::bigint[]) AND state = 'ready'
