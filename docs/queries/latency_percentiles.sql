-- How long answers took, in microseconds, by nearest rank.
SELECT
  model,
  stream,
  MAX(answers) AS answers,
  MIN(CASE WHEN place * 100 >= answers * 50 THEN duration_us END) AS p50,
  MIN(CASE WHEN place * 100 >= answers * 95 THEN duration_us END) AS p95,
  MIN(CASE WHEN place * 100 >= answers * 99 THEN duration_us END) AS p99
FROM (
  SELECT
    model,
    stream,
    duration_us,
    ROW_NUMBER() OVER (PARTITION BY model, stream ORDER BY duration_us) AS place,
    COUNT(*) OVER (PARTITION BY model, stream) AS answers
  FROM events
  WHERE type = 'wardgate.interaction' AND decision = 'answered' AND duration_us IS NOT NULL AND day >= '2026-01-01'
) AS ranked
GROUP BY model, stream
ORDER BY model, stream
