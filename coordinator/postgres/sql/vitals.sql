-- What the server says about itself, and which proxies live.
SELECT current_setting('server_version'), pg_is_in_recovery(),
       current_setting('transaction_read_only') = 'on', current_setting('fsync') = 'off',
       current_setting('synchronous_commit') = 'off',
       ARRAY(SELECT DISTINCT x.name
               FROM praefect.proxies AS x
              WHERE x.lease_ends_at > now()
              ORDER BY x.name)
