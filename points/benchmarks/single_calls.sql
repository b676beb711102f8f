-- :lots
SELECT count(*) FROM points_post(ARRAY(
    SELECT ROW(
        m, t.id, 'accrual', 'issued', 'available', 100, 'benchmark', 'l' || n, 0, NULL, NULL, NULL, 'system:benchmark', '', '',
        %(at)s, %(at)s, %(at)s, timestamptz '2027-01-01' + n * interval '1 month')::points_posting
    FROM unnest(%(members)s::bigint[]) AS m CROSS JOIN generate_series(1, 10) AS n JOIN points_pointtype t ON t.code = 'points')) p
WHERE p.status = 'posted'

-- :award
SELECT ord, status, code, event_id, awards::text FROM points_award(
    ('[{"reference": "@prefix-:client_id-:n", "type": "purchase", "occurred_at": "@at", "member_id": ' || :member
        || ', "amount_minor": ' || 100 + :n % 10000 || ', "currency": "CNY", "channel": "in-store", "store": "7"}]')::jsonb,
    'bench', 'system:benchmark', '@at', '@zone', true)

-- :spend
SELECT ord, status, code, entry_id, points, available FROM points_post(ARRAY[ROW(
    :member, (SELECT id FROM points_pointtype WHERE code = 'points'), 'redemption', 'available', 'redeemed', 1 + :n % 20, 'bench',
    '@prefix-:client_id-:n', 0, NULL, NULL, NULL, 'system:benchmark', '', '', '@at', '@at', NULL, NULL)::points_posting])
