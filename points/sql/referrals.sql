-- Friends whose invitation has met its condition and has no verdict yet, by the terms that held when they joined: the
-- built-in ones until the first programme begins. What counts happened on the day of joining or later, and a purchase
-- or an attendance with what is left of it after refunds.
WITH terms AS (
    SELECT id, converts_on, amount_from_minor, currency, within_days, wait_days, valid_from, valid_until
    FROM points_referralprogramme
    UNION ALL
    SELECT NULL, 'purchase', 1, '', NULL, 0, '-infinity', (SELECT min(valid_from) FROM points_referralprogramme)
)
SELECT m.id, m.number, m.referred_by_id, t.id, met.at
FROM members_member m
JOIN members_member r ON r.id = m.referred_by_id AND r.status = 'active'
JOIN terms t ON m.joined_at >= t.valid_from AND (t.valid_until IS NULL OR m.joined_at < t.valid_until)
CROSS JOIN LATERAL (
    SELECT m.joined_at AS at WHERE t.converts_on = 'enrolment'
    UNION ALL
    (
        SELECT e.occurred_at FROM points_event e
        CROSS JOIN LATERAL (
            SELECT count(*) AS parts, coalesce(sum(b.amount_minor), 0) AS amount_minor FROM points_event b
            WHERE b.member_id = e.member_id AND b.refund_of = e.id
        ) refunded
        WHERE e.member_id = m.id AND t.converts_on <> 'enrolment'
            AND e.type = CASE WHEN t.converts_on = 'purchase' THEN 'purchase' ELSE 'event_attendance' END
            -- Somebody may well have bought an hour before the till took him in, but not a month before.
            AND e.occurred_at >= date_trunc('day', m.joined_at, %(zone)s)
            AND (t.within_days IS NULL OR e.occurred_at < m.joined_at + make_interval(days => t.within_days))
            AND CASE
                WHEN t.converts_on = 'attendance' THEN refunded.parts = 0 OR refunded.amount_minor < e.amount_minor
                ELSE t.currency IN ('', e.currency) AND e.amount_minor - refunded.amount_minor >= t.amount_from_minor
            END
        ORDER BY e.occurred_at LIMIT 1
    )
) met
WHERE m.referred_by_id IS NOT NULL AND m.status = 'active' AND m.id > %(after)s
    AND (t.wait_days = 0 OR met.at <= %(at)s::timestamptz - make_interval(days => t.wait_days))
    AND (%(friends)s::bigint[] IS NULL OR m.id = ANY (%(friends)s::bigint[]))
    AND (%(joined_since)s::timestamptz IS NULL OR m.joined_at >= %(joined_since)s::timestamptz)
    AND NOT EXISTS (SELECT FROM points_referral x WHERE x.member_id = m.referred_by_id AND x.friend_id = m.id)
ORDER BY m.id LIMIT %(limit)s
