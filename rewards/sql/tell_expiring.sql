-- The messages for one endpoint about points whose last day comes into sight: for each member, type and last day one.
INSERT INTO members_webhookdelivery (endpoint_id, member_id, type, data, at, place, next_attempt_at)
SELECT %(endpoint)s, due.member_id, 'points.expiring', jsonb_build_object(
           'member', m.number, 'type', t.code, 'points', due.points, 'expires_on', due.last_day,
           'days', due.last_day - %(today)s::date),
       %(at)s, coalesce((SELECT e.id FROM points_entry e WHERE e.member_id = due.member_id ORDER BY e.seq DESC LIMIT 1), 0),
       %(at)s
FROM (
    SELECT l.member_id, l.point_type_id, sum(l.remaining)::bigint AS points,
           ((l.expires_at - interval '1 microsecond') AT TIME ZONE %(zone)s)::date AS last_day
    FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS sight (starts_at, ends_at)
    JOIN points_lot l ON l.is_open AND NOT l.is_pending AND l.expires_at > sight.starts_at AND l.expires_at <= sight.ends_at
    GROUP BY l.member_id, l.point_type_id, last_day
) due
JOIN members_member m ON m.id = due.member_id AND m.status = 'active'
JOIN points_pointtype t ON t.id = due.point_type_id
ORDER BY due.member_id, due.last_day
