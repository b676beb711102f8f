-- :tables
CREATE TABLE bare_dailystatistic (LIKE points_dailystatistic INCLUDING ALL);
CREATE TABLE bare_membermonth (LIKE points_membermonth INCLUDING ALL);

-- :empty
TRUNCATE bare_dailystatistic, bare_membermonth

-- :by_day
-- By the local day of booking, so that one day and all days are the same statement.
INSERT INTO bare_dailystatistic (day, point_type, kind, rule_id, channel, tier, entries, points)
SELECT (e.recorded_at AT TIME ZONE %(zone)s)::date, t.code, e.kind, coalesce(e.rule_id, 0), coalesce(v.channel, ''), coalesce(v.tier, ''),
    count(*), sum(e.points)
FROM points_entry e
JOIN points_pointtype t ON t.id = e.point_type_id
LEFT JOIN points_event v ON v.member_id = e.member_id AND v.id = e.event_id
WHERE e.recorded_at >= %(start)s AND e.recorded_at < %(end)s
GROUP BY 1, 2, 3, 4, 5, 6

-- :by_month
-- The member months that these days touched, whole, as the rollup keeps them; no refunds, no corrections, one currency.
WITH touched AS MATERIALIZED (
    SELECT DISTINCT member_id, date_trunc('month', occurred_at AT TIME ZONE %(zone)s)::date AS month
    FROM points_event WHERE recorded_at >= %(start)s AND recorded_at < %(end)s
), facts AS MATERIALIZED (
    SELECT t.member_id, t.month, v.id, v.currency, v.amount_minor, v.items
    FROM touched t JOIN points_event v ON v.member_id = t.member_id AND v.type = 'purchase'
        AND v.occurred_at >= t.month::timestamp AT TIME ZONE %(zone)s
        AND v.occurred_at < (t.month + interval '1 month') AT TIME ZONE %(zone)s
), earned AS (
    SELECT t.member_id, t.month, sum(e.points)::bigint AS points
    FROM touched t JOIN points_entry e ON e.member_id = t.member_id AND e.kind = 'accrual'
        AND e.occurred_at >= t.month::timestamp AT TIME ZONE %(zone)s
        AND e.occurred_at < (t.month + interval '1 month') AT TIME ZONE %(zone)s
    JOIN points_pointtype p ON p.id = e.point_type_id AND p.is_redeemable
    GROUP BY 1, 2
)
INSERT INTO bare_membermonth (member_id, month, category, currency, events, amount_minor, earned, redeemed)
SELECT f.member_id, f.month, i.item ->> 'category', f.currency, count(DISTINCT f.id), sum((i.item ->> 'amount_minor')::bigint), 0, 0
FROM facts f CROSS JOIN LATERAL jsonb_array_elements(f.items) AS i (item) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT w.member_id, w.month, '', w.currency, w.events, w.amount_minor, coalesce(e.points, 0), 0
FROM (SELECT member_id, month, currency, count(*) AS events, sum(amount_minor)::bigint AS amount_minor FROM facts GROUP BY 1, 2, 3) w
LEFT JOIN earned e USING (member_id, month)

-- :differences
SELECT (SELECT count(*) FROM (
        (SELECT point_type, kind, rule_id, channel, tier, entries, points FROM points_dailystatistic WHERE day = %(day)s
         EXCEPT SELECT point_type, kind, rule_id, channel, tier, entries, points FROM bare_dailystatistic)
        UNION ALL
        (SELECT point_type, kind, rule_id, channel, tier, entries, points FROM bare_dailystatistic
         EXCEPT SELECT point_type, kind, rule_id, channel, tier, entries, points FROM points_dailystatistic WHERE day = %(day)s)) d)
    + (SELECT count(*) FROM (
        SELECT member_id, month, category, currency, events, amount_minor, earned, redeemed FROM bare_membermonth
        EXCEPT SELECT member_id, month, category, currency, events, amount_minor, earned, redeemed FROM points_membermonth) m)
