-- :members
-- Members without a name, found by their card numbers, whose last digit checks the others (Luhn).
WITH enrolled AS (
    INSERT INTO members_member (number, referral_code, tier_id)
    SELECT s.body || (
            SELECT (10 - sum(CASE WHEN place %% 2 = 0 THEN digit WHEN digit < 5 THEN digit * 2 ELSE digit * 2 - 9 END) %% 10) %% 10
            FROM (SELECT place, substr(s.body, place, 1)::int AS digit FROM generate_series(1, 11) AS place) AS digits),
        'B' || s.n, %(tier)s
    FROM (SELECT n, (10000000000 + n)::text AS body FROM generate_series(%(start)s::bigint, %(stop)s::bigint) AS n) s
    RETURNING id, number
)
INSERT INTO members_memberkey (kind, key, member_id) SELECT 'number', number, id FROM enrolled
