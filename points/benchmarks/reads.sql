-- :earn
-- A run of accruals of one member, a second apart.
SELECT count(*) FROM points_post(ARRAY(
    SELECT ROW(
        %(member)s, t.id, 'accrual', 'issued', 'available', 10, 'benchmark', 'h' || n, 0, NULL, NULL, NULL, 'system:benchmark', '', '',
        m.at, m.at, m.at, m.at + interval '2 years')::points_posting
    FROM generate_series(%(start)s::bigint, %(start)s::bigint + %(count)s - 1) AS n
    CROSS JOIN LATERAL (SELECT timestamptz '2026-03-11 04:00+00' + n * interval '1 second' AS at) m
    JOIN points_pointtype t ON t.code = 'points')) p
WHERE p.status = 'posted'

-- :spend
-- One redemption of all but the last point of that run.
SELECT count(*) FROM points_post(ARRAY(
    SELECT ROW(
        %(member)s, t.id, 'redemption', 'available', 'redeemed', %(count)s * 10 - 1, 'benchmark', 's' || %(start)s, 0, NULL, NULL, NULL,
        'system:benchmark', '', '', m.at, m.at, NULL, NULL)::points_posting
    FROM points_pointtype t
    CROSS JOIN LATERAL (SELECT timestamptz '2026-03-11 04:00+00' + (%(start)s + %(count)s) * interval '1 second' AS at) m
    WHERE t.code = 'points')) p
WHERE p.status = 'posted'
