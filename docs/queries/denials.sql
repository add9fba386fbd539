-- Denials by limits, those that were counted in one event among them.
SELECT
  day,
  tenant,
  key_id,
  COALESCE(limit_exceeded, denials_limit) AS limit_name,
  SUM(COALESCE(denials, 1)) AS denials
FROM events
WHERE (decision = 'denied' OR type = 'wardgate.denials') AND day >= '2026-01-01'
GROUP BY day, tenant, key_id, COALESCE(limit_exceeded, denials_limit)
ORDER BY day DESC, denials DESC, tenant, key_id
