-- Every way the books could be wrong, as rows; none is the only good answer. %(members)s narrows to some members, null is all.
-- Sums and lots are checked over the whole history; entry by entry what was recorded from %(since)s on, null is all.
-- What rules have used of their caps, and references, are for the long check alone, that is without %(since)s.
WITH entries AS MATERIALIZED (
    SELECT e.member_id, e.point_type_id,
        sum(CASE WHEN to_account = 'available' THEN points WHEN from_account = 'available' THEN -points ELSE 0 END)::bigint AS available,
        sum(CASE WHEN to_account = 'pending' THEN points WHEN from_account = 'pending' THEN -points ELSE 0 END)::bigint AS pending,
        sum(CASE WHEN to_account = 'held' THEN points WHEN from_account = 'held' THEN -points ELSE 0 END)::bigint AS held,
        sum(CASE WHEN from_account = 'owed' THEN points WHEN to_account = 'owed' THEN -points ELSE 0 END)::bigint AS owed,
        sum(CASE WHEN from_account = 'issued' THEN points WHEN to_account = 'issued' THEN -points ELSE 0 END)::bigint AS issued,
        sum(CASE WHEN to_account = 'redeemed' THEN points WHEN from_account = 'redeemed' THEN -points ELSE 0 END)::bigint AS redeemed,
        sum(CASE WHEN to_account = 'expired' THEN points WHEN from_account = 'expired' THEN -points ELSE 0 END)::bigint AS expired,
        sum(CASE WHEN to_account = 'transfer' THEN points WHEN from_account = 'transfer' THEN -points ELSE 0 END)::bigint AS transferred,
        max(seq) AS last_seq
    FROM points_entry e
    WHERE %(members)s::bigint[] IS NULL OR e.member_id = ANY (%(members)s::bigint[])
    GROUP BY 1, 2
), balances AS MATERIALIZED (
    SELECT * FROM points_balance b WHERE %(members)s::bigint[] IS NULL OR b.member_id = ANY (%(members)s::bigint[])
), lots AS MATERIALIZED (
    SELECT l.member_id, l.point_type_id,
        coalesce(sum(l.remaining) FILTER (WHERE NOT l.is_pending), 0)::bigint AS available,
        coalesce(sum(l.remaining) FILTER (WHERE l.is_pending), 0)::bigint AS pending
    FROM points_lot l
    WHERE %(members)s::bigint[] IS NULL OR l.member_id = ANY (%(members)s::bigint[])
    GROUP BY 1, 2
), draws AS MATERIALIZED (
    SELECT d.member_id, d.lot_id, sum(CASE WHEN d.is_return THEN -d.points ELSE d.points END)::bigint AS taken
    FROM points_draw d
    WHERE %(members)s::bigint[] IS NULL OR d.member_id = ANY (%(members)s::bigint[])
    GROUP BY 1, 2
), drawn AS MATERIALIZED (
    SELECT d.member_id, d.entry_id, sum(d.points)::bigint AS points
    FROM points_draw d
    WHERE %(members)s::bigint[] IS NULL OR d.member_id = ANY (%(members)s::bigint[])
    GROUP BY 1, 2
), opened AS MATERIALIZED (
    SELECT l.member_id, l.entry_id, sum(l.points)::bigint AS points
    FROM points_lot l
    WHERE %(members)s::bigint[] IS NULL OR l.member_id = ANY (%(members)s::bigint[])
    GROUP BY 1, 2
), holds AS MATERIALIZED (
    SELECT h.member_id, h.point_type_id, sum(h.points)::bigint AS points FROM points_hold h
    WHERE h.status = 'held' AND (%(members)s::bigint[] IS NULL OR h.member_id = ANY (%(members)s::bigint[]))
    GROUP BY 1, 2
), chain AS MATERIALIZED (
    SELECT e.member_id, e.seq, e.point_type_id, e.digest, p.seq AS seq_before,
        sha256(coalesce(p.digest, '') || convert_to(points_content(
            e.member_id, e.seq, e.point_type_id, e.kind, e.from_account, e.to_account, e.points, e.source, e.reference, e.line,
            e.event_id, e.rule_id, e.corrects, e.actor, e.reason, e.note, e.occurred_at, e.recorded_at, e.available_after,
            coalesce(d.draws, '')), 'UTF8')) AS expected
    FROM points_entry e
    LEFT JOIN points_entry p ON p.member_id = e.member_id AND p.seq = e.seq - 1
    LEFT JOIN (
        SELECT d.member_id, d.entry_id,
               string_agg(CASE WHEN d.is_return THEN '+' ELSE '' END || d.lot_id || ':' || d.points, ',' ORDER BY d.lot_id) AS draws
        FROM points_draw d
        WHERE %(members)s::bigint[] IS NULL OR d.member_id = ANY (%(members)s::bigint[])
        GROUP BY 1, 2
    ) d ON d.member_id = e.member_id AND d.entry_id = e.id
    WHERE (%(members)s::bigint[] IS NULL OR e.member_id = ANY (%(members)s::bigint[]))
        AND (%(since)s::timestamptz IS NULL OR e.recorded_at >= %(since)s::timestamptz)
), limited AS MATERIALIZED (
    SELECT * FROM points_earningrule r WHERE num_nonnulls(r.cap_day, r.cap_week, r.cap_month, r.cap_lifetime, r.budget) > 0
), given AS MATERIALIZED (
    -- What rules with a limit gave less what was taken back of it, on the local day of what it was given for.
    SELECT e.member_id, e.rule_id, (coalesce(a.occurred_at, e.occurred_at) AT TIME ZONE %(zone)s)::date AS day,
        sum(CASE WHEN e.kind = 'accrual' THEN e.points ELSE -e.points END)::bigint AS points
    FROM points_entry e
    JOIN limited r ON r.id = e.rule_id
    LEFT JOIN points_entry a ON e.kind = 'clawback' AND a.member_id = e.member_id AND a.id = e.corrects
    WHERE e.kind IN ('accrual', 'clawback') AND %(since)s::timestamptz IS NULL
        AND (%(members)s::bigint[] IS NULL OR e.member_id = ANY (%(members)s::bigint[]))
    GROUP BY 1, 2, 3
), counted AS MATERIALIZED (
    SELECT g.member_id, g.rule_id, p.period, p.starts_on, sum(g.points)::bigint AS points
    FROM given g
    JOIN limited r ON r.id = g.rule_id
    CROSS JOIN LATERAL (VALUES
        ('day', g.day, r.cap_day), ('week', date_trunc('week', g.day)::date, r.cap_week),
        ('month', date_trunc('month', g.day)::date, r.cap_month), ('lifetime', date '0001-01-01', r.cap_lifetime)
    ) AS p (period, starts_on, cap)
    WHERE p.cap IS NOT NULL
    GROUP BY 1, 2, 3, 4
)
SELECT 'balance_differs_from_entries', b.member_id, b.point_type_id,
    format('balance %%s, entries %%s', ROW(b.available, b.pending, b.held, b.owed, b.issued, b.redeemed, b.expired, b.transferred),
           ROW(e.available, e.pending, e.held, e.owed, e.issued, e.redeemed, e.expired, e.transferred))
FROM balances b FULL JOIN entries e ON e.member_id = b.member_id AND e.point_type_id = b.point_type_id
WHERE (coalesce(b.available, 0), coalesce(b.pending, 0), coalesce(b.held, 0), coalesce(b.owed, 0), coalesce(b.issued, 0),
       coalesce(b.redeemed, 0), coalesce(b.expired, 0), coalesce(b.transferred, 0))
    <> (coalesce(e.available, 0), coalesce(e.pending, 0), coalesce(e.held, 0), coalesce(e.owed, 0), coalesce(e.issued, 0),
        coalesce(e.redeemed, 0), coalesce(e.expired, 0), coalesce(e.transferred, 0))
UNION ALL
SELECT 'balance_differs_from_lots', b.member_id, b.point_type_id,
    format('available %%s, open lots %%s; pending %%s, pending lots %%s', b.available, coalesce(l.available, 0), b.pending, coalesce(l.pending, 0))
FROM balances b LEFT JOIN lots l ON l.member_id = b.member_id AND l.point_type_id = b.point_type_id
WHERE (b.available, b.pending) <> (coalesce(l.available, 0), coalesce(l.pending, 0))
UNION ALL
SELECT 'lot_differs_from_draws', l.member_id, l.point_type_id,
    format('lot %%s: %%s of %%s left, %%s drawn', l.id, l.remaining, l.points, coalesce(d.taken, 0))
FROM points_lot l LEFT JOIN draws d ON d.member_id = l.member_id AND d.lot_id = l.id
-- A clawback of pending points draws its lot like any other.
WHERE (%(members)s::bigint[] IS NULL OR l.member_id = ANY (%(members)s::bigint[]))
    AND l.remaining <> l.points - coalesce(d.taken, 0)
UNION ALL
SELECT 'entry_differs_from_draws', e.member_id, e.point_type_id,
    format('entry %%s (%%s) moved %%s, its lots %%s', e.seq, e.kind, e.points, coalesce(d.points, 0))
FROM points_entry e LEFT JOIN drawn d ON d.member_id = e.member_id AND d.entry_id = e.id
WHERE (%(members)s::bigint[] IS NULL OR e.member_id = ANY (%(members)s::bigint[]))
    AND (%(since)s::timestamptz IS NULL OR e.recorded_at >= %(since)s::timestamptz)
    AND coalesce(d.points, 0) <> CASE
        WHEN e.from_account IN ('available', 'pending') AND e.kind <> 'maturity' THEN e.points
        WHEN e.kind IN ('release', 'restoration', 'reinstatement') THEN e.points
        ELSE 0 END
UNION ALL
SELECT 'entry_without_lot', e.member_id, e.point_type_id,
    format('entry %%s (%%s) gave %%s, its lots hold %%s', e.seq, e.kind, e.points, coalesce(o.points, 0))
FROM points_entry e LEFT JOIN opened o ON o.member_id = e.member_id AND o.entry_id = e.id
WHERE (%(members)s::bigint[] IS NULL OR e.member_id = ANY (%(members)s::bigint[]))
    AND (%(since)s::timestamptz IS NULL OR e.recorded_at >= %(since)s::timestamptz)
    AND coalesce(o.points, 0) <> CASE
        WHEN e.from_account = 'issued' OR (e.kind = 'transfer' AND e.to_account = 'available') THEN e.points ELSE 0 END
UNION ALL
SELECT 'held_differs_from_holds', b.member_id, b.point_type_id, format('held %%s, open holds %%s', b.held, coalesce(h.points, 0))
FROM balances b LEFT JOIN holds h ON h.member_id = b.member_id AND h.point_type_id = b.point_type_id
WHERE b.held <> coalesce(h.points, 0)
UNION ALL
SELECT 'chain_broken', c.member_id, c.point_type_id, format('entry %%s', c.seq)
FROM chain c WHERE c.digest <> c.expected OR c.seq <> coalesce(c.seq_before, 0) + 1
UNION ALL
SELECT 'chain_head_differs', b.member_id, b.point_type_id, format('head %%s, last entry %%s', b.head_seq, coalesce(c.seq, 0))
FROM balances b
LEFT JOIN entries e ON e.member_id = b.member_id AND e.point_type_id = b.point_type_id
LEFT JOIN points_entry c ON c.member_id = b.member_id AND c.seq = e.last_seq
WHERE (b.head_seq, b.head_digest) IS DISTINCT FROM (coalesce(c.seq, 0), coalesce(c.digest, ''))
UNION ALL
SELECT 'usage_differs_from_entries', r.member_id, r.point_type_id,
    format('rule %%s, %%s from %%s: used %%s, gave %%s', r.rule_id, r.period, r.starts_on, r.used, r.given)
FROM (
    SELECT coalesce(u.member_id, c.member_id) AS member_id, r.point_type_id, r.id AS rule_id,
        coalesce(u.period, c.period) AS period, coalesce(u.starts_on, c.starts_on) AS starts_on,
        coalesce(u.points, 0) AS used, coalesce(c.points, 0) AS given
    FROM (
        SELECT * FROM points_ruleusage u
        WHERE %(since)s::timestamptz IS NULL AND (%(members)s::bigint[] IS NULL OR u.member_id = ANY (%(members)s::bigint[]))
    ) u
    FULL JOIN counted c
        ON c.member_id = u.member_id AND c.rule_id = u.rule_id AND c.period = u.period AND c.starts_on = u.starts_on
    JOIN points_earningrule r ON r.id = coalesce(u.rule_id, c.rule_id)
) r
WHERE r.used <> r.given
UNION ALL
SELECT 'budget_differs_from_entries', 0, r.point_type_id,
    format('rule %%s: used %%s, gave %%s', r.id, coalesce(b.used, 0), coalesce(g.points, 0))
FROM limited r
LEFT JOIN points_rulebudget b ON b.rule_id = r.id
LEFT JOIN (SELECT g.rule_id, sum(g.points)::bigint AS points FROM given g GROUP BY 1) g ON g.rule_id = r.id
WHERE %(members)s::bigint[] IS NULL AND %(since)s::timestamptz IS NULL
    -- A rule with caps alone has no row to count on, unless it once was a draft with a budget.
    AND (r.budget IS NOT NULL OR b.rule_id IS NOT NULL) AND coalesce(b.used, 0) <> coalesce(g.points, 0)
UNION ALL
SELECT 'event_without_reference', e.member_id, 0, format('event %%s: %%s/%%s', e.id, e.source, e.reference)
FROM points_event e
LEFT JOIN points_reference r ON r.source = e.source AND r.reference = e.reference
    AND r.operation = CASE WHEN e.type = 'refund' THEN 'refund' ELSE 'event' END
    AND r.member_id = e.member_id AND r.target = e.id AND octet_length(r.digest) = 32
WHERE %(since)s::timestamptz IS NULL AND (%(members)s::bigint[] IS NULL OR e.member_id = ANY (%(members)s::bigint[]))
    AND r.id IS NULL
UNION ALL
-- References are found by their key and not by their member: looking for those of some members would read them all.
SELECT 'reference_without_event', r.member_id, 0, format('%%s %%s/%%s', r.operation, r.source, r.reference)
FROM points_reference r
LEFT JOIN points_event e ON e.member_id = r.member_id AND e.id = r.target AND e.source = r.source AND e.reference = r.reference
    AND (e.type = 'refund') = (r.operation = 'refund')
WHERE %(members)s::bigint[] IS NULL AND %(since)s::timestamptz IS NULL AND r.operation IN ('event', 'refund') AND e.id IS NULL
ORDER BY 1, 2, 3, 4
LIMIT 1000
