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
    SELECT s.member_id, s.month, v.id, v.currency, v.items, v.refund_of,
           CASE WHEN v.type = 'refund' THEN -v.amount_minor ELSE v.amount_minor END AS amount_minor,
           CASE WHEN v.type = 'refund' THEN -1 ELSE 1 END AS sign
    FROM spans s
    -- A look into the index for each member month: the planner would rather hash every event and entry there is.
    CROSS JOIN LATERAL (
        SELECT v.id, v.type, v.currency, v.items, v.refund_of, v.amount_minor FROM points_event v
        WHERE v.member_id = s.member_id AND v.type IN ('purchase', 'refund')
            AND v.occurred_at >= s.starts_at AND v.occurred_at < s.ends_at AND v.amount_minor IS NOT NULL
        OFFSET 0
    ) v
), without_lines AS MATERIALIZED (
    -- Refunds of an amount alone of purchases with line items, and what was refunded before them, by lines or without.
    SELECT p.member_id, p.month, p.currency, p.id, p.refund_of, o.items, o.amount_minor - b.by_lines AS base,
           b.by_amount AS before, b.by_amount - p.amount_minor AS so_far
    FROM spending p
    JOIN points_event o ON o.member_id = p.member_id AND o.id = p.refund_of AND o.items IS NOT NULL
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(e.amount_minor) FILTER (WHERE e.items IS NOT NULL), 0) AS by_lines,
               coalesce(sum(e.amount_minor) FILTER (WHERE e.items IS NULL), 0) AS by_amount
        FROM points_event e WHERE e.member_id = p.member_id AND e.refund_of = p.refund_of AND e.id < p.id
    ) b
    WHERE p.sign < 0 AND p.items IS NULL AND o.amount_minor > b.by_lines
), shares AS (
    -- Each category's part of them, in proportion to what is left of it: of all such refunds so far less those before
    -- this one, so that any number of parts ends where one refund of the whole does.
    SELECT w.member_id, w.month, w.currency, w.id, c.category, c.amount,
           div(c.amount * w.so_far, w.base) - div(c.amount * w.before, w.base) AS taken,
           div(sum(c.amount) OVER one * w.so_far, w.base) - div(sum(c.amount) OVER one * w.before, w.base) AS taken_of_all,
           row_number() OVER (PARTITION BY w.id ORDER BY c.amount DESC, c.category) AS place
    FROM without_lines w
    CROSS JOIN LATERAL (
        SELECT l.category, sum(l.amount) AS amount FROM (
            SELECT coalesce(i.item ->> 'category', '') AS category, coalesce((i.item ->> 'amount_minor')::bigint, 0) AS amount
            FROM jsonb_array_elements(w.items) AS i (item)
            UNION ALL
            SELECT coalesce(i.item ->> 'category', ''), -coalesce((i.item ->> 'amount_minor')::bigint, 0)
            FROM points_event e CROSS JOIN LATERAL jsonb_array_elements(e.items) AS i (item)
            WHERE e.member_id = w.member_id AND e.refund_of = w.refund_of AND e.id < w.id
        ) l GROUP BY 1
    ) c
    WINDOW one AS (PARTITION BY w.id)
), lines AS (
    SELECT p.member_id, p.month, coalesce(i.item ->> 'category', '') AS category, p.currency,
           CASE WHEN p.sign > 0 THEN p.id END AS purchase,
           p.sign * coalesce((i.item ->> 'amount_minor')::bigint, 0) AS amount_minor
    FROM spending p CROSS JOIN LATERAL jsonb_array_elements(p.items) AS i (item)
    UNION ALL
    -- What rounding down leaves over falls on the largest category.
    SELECT member_id, month, category, currency, NULL,
           -taken - CASE WHEN place = 1 THEN taken_of_all - sum(taken) OVER (PARTITION BY id) ELSE 0 END
    FROM shares
), by_category AS (
    SELECT member_id, month, left(category, 64) AS category, currency,
           count(DISTINCT purchase) AS events, sum(amount_minor)::bigint AS amount_minor
    FROM lines WHERE category <> ''
    GROUP BY 1, 2, 3, 4
), whole AS (
    SELECT member_id, month, currency, count(*) FILTER (WHERE sign > 0) AS events, sum(amount_minor)::bigint AS amount_minor
    FROM spending GROUP BY 1, 2, 3
), homes AS (
    -- Where the points stand that came from no money, or from some that is no spending: with the programme's own
    -- currency, or with the first of those that were spent.
    SELECT DISTINCT ON (member_id, month) member_id, month, currency, count(*) OVER (PARTITION BY member_id, month) AS currencies
    FROM whole ORDER BY member_id, month, currency <> %(currency)s, currency
), points_moved AS (
    SELECT s.member_id, s.month, e.currency,
           coalesce(sum(CASE WHEN e.kind = 'accrual' THEN e.points WHEN e.kind = 'clawback' THEN -e.points END), 0)::bigint AS earned,
           coalesce(sum(CASE WHEN e.kind = 'redemption' THEN e.points WHEN e.kind = 'restoration' THEN -e.points END), 0)::bigint AS redeemed
    FROM spans s
    LEFT JOIN homes h ON h.member_id = s.member_id AND h.month = s.month
    CROSS JOIN LATERAL (
        SELECT e.point_type_id, e.kind, e.points,
               -- Where one currency was spent there is nothing to choose, and no event to look up.
               CASE WHEN h.currencies > 1 THEN (
                   SELECT v.currency FROM points_event v WHERE v.member_id = e.member_id AND v.id = e.event_id) END AS currency
        FROM points_entry e
        WHERE e.member_id = s.member_id AND e.occurred_at >= s.starts_at AND e.occurred_at < s.ends_at
        OFFSET 0
    ) e
    JOIN points_pointtype t ON t.id = e.point_type_id AND t.is_redeemable
    GROUP BY 1, 2, 3
), points_placed AS (
    -- Points stand with the money they came from.
    SELECT p.member_id, p.month, coalesce(w.currency, h.currency, '') AS currency,
           sum(p.earned)::bigint AS earned, sum(p.redeemed)::bigint AS redeemed
    FROM points_moved p
    LEFT JOIN whole w ON w.member_id = p.member_id AND w.month = p.month AND w.currency = p.currency
    LEFT JOIN homes h ON h.member_id = p.member_id AND h.month = p.month
    GROUP BY 1, 2, 3
), fresh AS (
    SELECT member_id, month, category, currency, events, amount_minor, 0::bigint AS earned, 0::bigint AS redeemed FROM by_category
    UNION ALL
    SELECT coalesce(w.member_id, p.member_id), coalesce(w.month, p.month), '', coalesce(w.currency, p.currency),
           coalesce(w.events, 0), coalesce(w.amount_minor, 0), coalesce(p.earned, 0), coalesce(p.redeemed, 0)
    FROM whole w FULL JOIN points_placed p ON p.member_id = w.member_id AND p.month = w.month AND p.currency = w.currency
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
