-- Friends whose invitation has met its condition and has no verdict yet, by the terms that held when they joined.
-- A purchase counts with what is left of it after refunds.
WITH terms AS (
    SELECT id, converts_on, amount_from_minor, currency, within_days, valid_from, valid_until FROM points_referralprogramme
    UNION ALL
    SELECT NULL, 'purchase', 1, '', NULL, '-infinity', NULL WHERE NOT EXISTS (SELECT FROM points_referralprogramme)
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
        WHERE e.member_id = m.id AND t.converts_on <> 'enrolment'
            AND e.type = CASE WHEN t.converts_on = 'purchase' THEN 'purchase' ELSE 'event_attendance' END
            AND (t.within_days IS NULL OR e.occurred_at < m.joined_at + make_interval(days => t.within_days))
            AND (t.converts_on = 'attendance' OR (t.currency IN ('', e.currency) AND e.amount_minor >= t.amount_from_minor + (
                SELECT coalesce(sum(b.amount_minor), 0) FROM points_event b
                WHERE b.member_id = e.member_id AND b.refund_of = e.id)))
        ORDER BY e.occurred_at LIMIT 1
    )
) met
WHERE m.referred_by_id IS NOT NULL AND m.status = 'active' AND m.id > %(after)s
    AND (%(friends)s::bigint[] IS NULL OR m.id = ANY (%(friends)s::bigint[]))
    AND (%(joined_since)s::timestamptz IS NULL OR m.joined_at >= %(joined_since)s::timestamptz)
    AND NOT EXISTS (SELECT FROM points_referral x WHERE x.member_id = m.referred_by_id AND x.friend_id = m.id)
ORDER BY m.id LIMIT %(limit)s
