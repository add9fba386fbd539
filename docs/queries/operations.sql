-- What operators, and Wardgate by itself, did: the kill switch, keys, limits, sealed content, rotations.
SELECT time, operation, operation_subject, operator, source
FROM events
WHERE operation IS NOT NULL AND day >= '2026-01-01'
ORDER BY time DESC
LIMIT 1000
