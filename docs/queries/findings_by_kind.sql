-- What the guards found, and how much of it stopped a request.
SELECT
  guard,
  kind,
  owasp,
  COUNT(*) AS findings,
  SUM(CASE WHEN decision = 'blocked' THEN 1 ELSE 0 END) AS in_blocked_requests,
  COUNT(DISTINCT key_id) AS key_ids,
  MAX(score) AS highest_score
FROM findings
WHERE day >= '2026-01-01'
GROUP BY guard, kind, owasp
ORDER BY findings DESC, guard, kind
