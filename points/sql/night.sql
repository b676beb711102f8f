-- Sweeps of the night: the due members and types of one chunk become postings, and points_post does the rest.
-- `business_date` is the reference, so the same night swept twice posts once.
CREATE OR REPLACE FUNCTION points_sweep(
    of_kind text, members bigint[], types bigint[], business_date date, cutoff timestamptz, of_actor text, at timestamptz,
    OUT swept bigint, OUT points bigint
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT count(*), coalesce(sum(p.points), 0)::bigint INTO swept, points
    FROM points_post((
        SELECT array_agg(ROW(
            d.member_id, d.point_type_id, of_kind, CASE of_kind WHEN 'expiry' THEN 'available' ELSE 'pending' END,
            CASE of_kind WHEN 'expiry' THEN 'expired' ELSE 'available' END, NULL, 'close', business_date::text,
            d.point_type_id, NULL, NULL, NULL, of_actor, '', '', cutoff - interval '1 microsecond', at, cutoff,
            cutoff)::points_posting)
        FROM unnest(members, types) AS d (member_id, point_type_id))) p
    WHERE p.status = 'posted';
END $$;
