-- Spending and points by local month and category, rebuilt for the member months that one booking day touched.
WITH touched AS MATERIALIZED (
    SELECT member_id, date_trunc('month', occurred_at AT TIME ZONE %(zone)s)::date AS month
    FROM points_event WHERE recorded_at >= %(start)s AND recorded_at < %(end)s
    UNION
    SELECT member_id, date_trunc('month', occurred_at AT TIME ZONE %(zone)s)::date
    FROM points_entry WHERE recorded_at >= %(start)s AND recorded_at < %(end)s
), spans AS MATERIALIZED (
    SELECT member_id, month, month::timestamp AT TIME ZONE %(zone)s AS starts_at,
           (month + interval '1 month') AT TIME ZONE %(zone)s AS ends_at
    FROM touched
), spending AS MATERIALIZED (
    SELECT s.member_id, s.month, v.currency, v.items,
           CASE WHEN v.type = 'refund' THEN -v.amount_minor ELSE v.amount_minor END AS amount_minor,
           CASE WHEN v.type = 'refund' THEN -1 ELSE 1 END AS sign
    FROM spans s
    -- A look into the index for each member month: the planner would rather hash every event and entry there is.
    CROSS JOIN LATERAL (
        SELECT v.type, v.currency, v.items, v.amount_minor FROM points_event v
        WHERE v.member_id = s.member_id AND v.type IN ('purchase', 'refund')
            AND v.occurred_at >= s.starts_at AND v.occurred_at < s.ends_at AND v.amount_minor IS NOT NULL
        OFFSET 0
    ) v
), by_category AS (
    SELECT p.member_id, p.month, left(coalesce(i.item ->> 'category', ''), 64) AS category, p.currency,
           count(*) AS events, sum(p.sign * coalesce((i.item ->> 'amount_minor')::bigint, 0))::bigint AS amount_minor
    FROM spending p CROSS JOIN LATERAL jsonb_array_elements(p.items) AS i (item)
    WHERE coalesce(i.item ->> 'category', '') <> ''
    GROUP BY 1, 2, 3, 4
), whole AS (
    SELECT member_id, month, currency, count(*) FILTER (WHERE sign > 0) AS events, sum(amount_minor)::bigint AS amount_minor
    FROM spending GROUP BY 1, 2, 3
), points_moved AS (
    SELECT s.member_id, s.month,
           coalesce(sum(CASE WHEN e.kind = 'accrual' THEN e.points WHEN e.kind = 'clawback' THEN -e.points END), 0)::bigint AS earned,
           coalesce(sum(CASE WHEN e.kind = 'redemption' THEN e.points WHEN e.kind = 'restoration' THEN -e.points END), 0)::bigint AS redeemed
    FROM spans s
    CROSS JOIN LATERAL (
        SELECT e.point_type_id, e.kind, e.points FROM points_entry e
        WHERE e.member_id = s.member_id AND e.occurred_at >= s.starts_at AND e.occurred_at < s.ends_at
        OFFSET 0
    ) e
    JOIN points_pointtype t ON t.id = e.point_type_id AND t.is_redeemable
    GROUP BY 1, 2
), fresh AS (
    SELECT member_id, month, category, currency, events, amount_minor, 0::bigint AS earned, 0::bigint AS redeemed FROM by_category
    UNION ALL
    SELECT coalesce(w.member_id, p.member_id), coalesce(w.month, p.month), '', coalesce(w.currency, ''),
           coalesce(w.events, 0), coalesce(w.amount_minor, 0),
           CASE WHEN coalesce(row_number() OVER (PARTITION BY coalesce(w.member_id, p.member_id), coalesce(w.month, p.month) ORDER BY w.currency), 1) = 1
                THEN coalesce(p.earned, 0) ELSE 0 END,
           CASE WHEN coalesce(row_number() OVER (PARTITION BY coalesce(w.member_id, p.member_id), coalesce(w.month, p.month) ORDER BY w.currency), 1) = 1
                THEN coalesce(p.redeemed, 0) ELSE 0 END
    FROM whole w FULL JOIN points_moved p ON p.member_id = w.member_id AND p.month = w.month
), stale AS (
    DELETE FROM points_membermonth g USING touched t
    WHERE g.member_id = t.member_id AND g.month = t.month
        AND NOT EXISTS (SELECT FROM fresh f WHERE f.member_id = g.member_id AND f.month = g.month
                            AND f.category = g.category AND f.currency = g.currency)
)
INSERT INTO points_membermonth AS g (member_id, month, category, currency, events, amount_minor, earned, redeemed)
SELECT member_id, month, category, currency, events, amount_minor, earned, redeemed FROM fresh ORDER BY 1, 2, 3, 4
ON CONFLICT (member_id, month, category, currency) DO UPDATE SET
    events = excluded.events, amount_minor = excluded.amount_minor, earned = excluded.earned, redeemed = excluded.redeemed
