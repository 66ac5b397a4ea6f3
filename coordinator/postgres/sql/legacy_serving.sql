-- Proxies of the existing release that reported within a minute.
SELECT DISTINCT praefect_name
  FROM public.node_status
 WHERE last_contact_attempt_at > clock_timestamp() - interval '60 seconds'
 ORDER BY praefect_name
