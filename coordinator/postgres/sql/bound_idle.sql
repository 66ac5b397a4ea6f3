-- Ends the transaction, and its connection, if the proxy stops in the middle of it: what is locked
-- must not stay so for as long as a process is frozen.
SET LOCAL idle_in_transaction_session_timeout = '5s'
