-- The version of the server as a number.
SELECT current_setting('server_version_num')::integer
