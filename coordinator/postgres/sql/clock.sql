-- The server's time at this moment.
SELECT clock_timestamp()
