-- The verified end users with most requests. A user shows as a keyed hash, which is another one after the
-- audit pepper has rotated.
SELECT
  tenant,
  user_hmac,
  COUNT(*) AS requests,
  SUM(CASE WHEN decision = 'blocked' THEN 1 ELSE 0 END) AS blocked,
  SUM(COALESCE(input_tokens, 0) + COALESCE(output_tokens, 0)) AS tokens
FROM events
WHERE type = 'wardgate.interaction' AND user_hmac IS NOT NULL AND day >= '2026-01-01'
GROUP BY tenant, user_hmac
ORDER BY requests DESC, tenant, user_hmac
LIMIT 100
