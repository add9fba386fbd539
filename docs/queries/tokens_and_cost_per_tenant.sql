-- What each tenant used, per day and model. Cost is in millionths of the policy's currency; requests whose
-- model had no price, or whose upstream did not count tokens, are in unpriced.
SELECT
  day,
  tenant,
  model,
  COUNT(*) AS requests,
  SUM(input_tokens) AS input_tokens,
  SUM(output_tokens) AS output_tokens,
  SUM(cost) AS cost,
  SUM(CASE WHEN cost IS NULL THEN 1 ELSE 0 END) AS unpriced
FROM events
WHERE type = 'wardgate.interaction' AND model IS NOT NULL AND day >= '2026-01-01'
GROUP BY day, tenant, model
ORDER BY day DESC, tenant, model
