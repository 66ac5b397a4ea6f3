-- A notice that means nothing: it shows that notices arrive.
SELECT pg_notify('praefect', 'probe')::text
