-- Names the process of the server that serves the connection.
SELECT pg_backend_pid()
