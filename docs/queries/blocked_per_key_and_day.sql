-- Which keys were blocked by guards, on which day, and how much of their traffic that was.
SELECT
  day,
  tenant,
  key_id,
  SUM(CASE WHEN decision = 'blocked' THEN 1 ELSE 0 END) AS blocked,
  COUNT(*) AS requests
FROM events
WHERE type = 'wardgate.interaction' AND day >= '2026-01-01'
GROUP BY day, tenant, key_id
HAVING SUM(CASE WHEN decision = 'blocked' THEN 1 ELSE 0 END) > 0
ORDER BY day DESC, blocked DESC, tenant, key_id
