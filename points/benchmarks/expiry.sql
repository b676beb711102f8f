-- :load
-- Lots of one night: three or four for each member, through the one door.
SELECT count(*) FROM points_post(ARRAY(
    SELECT ROW(
        m.id, t.id, 'accrual', 'issued', 'available', 10 + n %% 90, 'benchmark', 'n' || %(night)s || '-' || n, 0, NULL, NULL, NULL,
        'system:benchmark', '', '', %(at)s, %(at)s, %(at)s, %(ends)s)::points_posting
    FROM generate_series(%(start)s::bigint, %(stop)s::bigint) AS n
    JOIN points_pointtype t ON t.code = 'points'
    JOIN members_member m ON m.id = (SELECT min(id) FROM members_member) + (n * 7919) %% %(members)s
)) p WHERE p.status = 'posted'

-- :tables
CREATE TABLE bare_entry (LIKE points_entry INCLUDING ALL);
CREATE TABLE bare_lot (LIKE points_lot INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE bare_draw (LIKE points_draw INCLUDING ALL);
CREATE TABLE bare_balance (LIKE points_balance INCLUDING ALL) WITH (fillfactor = 80);
INSERT INTO bare_balance SELECT * FROM points_balance;
INSERT INTO bare_entry SELECT * FROM points_entry ORDER BY id;
INSERT INTO bare_lot (id, entry_id, points, remaining, is_pending, available_at, expires_at, member_id, point_type_id)
SELECT id, entry_id, points, remaining, is_pending, available_at, expires_at, member_id, point_type_id FROM points_lot ORDER BY id;
SELECT setval(pg_get_serial_sequence('bare_entry', 'id'), (SELECT max(id) FROM bare_entry));
ALTER TABLE bare_entry SET (autovacuum_enabled = false);
ALTER TABLE bare_lot SET (autovacuum_enabled = false);
ALTER TABLE bare_draw SET (autovacuum_enabled = false);
ALTER TABLE bare_balance SET (autovacuum_enabled = false);

-- :foreign_keys
ALTER TABLE bare_entry
    ADD FOREIGN KEY (member_id, point_type_id) REFERENCES bare_balance (member_id, point_type_id),
    ADD FOREIGN KEY (event_id, member_id) REFERENCES points_event (id, member_id),
    ADD FOREIGN KEY (corrects, member_id) REFERENCES bare_entry (id, member_id);
ALTER TABLE bare_lot ADD FOREIGN KEY (entry_id, member_id) REFERENCES bare_entry (id, member_id);
ALTER TABLE bare_draw
    ADD FOREIGN KEY (entry_id, member_id) REFERENCES bare_entry (id, member_id),
    ADD FOREIGN KEY (lot_id, member_id) REFERENCES bare_lot (id, member_id);

-- :expire
-- The least there is to do: close the lots, say so in an entry a member, name the lots in draws, lower the balances.
WITH due AS MATERIALIZED (
    SELECT id, member_id, point_type_id, remaining FROM bare_lot
    WHERE is_open AND NOT is_pending AND expires_at <= %(cutoff)s
), sums AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('bare_entry', 'id')) AS id, s.*, b.head_seq + 1 AS seq, b.available - s.moved AS available_after
    FROM (SELECT member_id, point_type_id, sum(remaining)::bigint AS moved FROM due GROUP BY member_id, point_type_id) s
    JOIN bare_balance b ON b.member_id = s.member_id AND b.point_type_id = s.point_type_id
), lots AS (
    UPDATE bare_lot l SET remaining = 0 FROM due d WHERE l.id = d.id AND l.member_id = d.member_id
), entries AS (
    INSERT INTO bare_entry (
        id, member_id, seq, point_type_id, kind, from_account, to_account, points, source, reference, line, actor, occurred_at,
        recorded_at, available_after, digest)
    SELECT id, member_id, seq, point_type_id, 'expiry', 'available', 'expired', moved, 'close', (%(cutoff)s::timestamptz)::date::text,
        point_type_id, 'system:close', %(cutoff)s, %(at)s, available_after, ''
    FROM sums
), draws AS (
    INSERT INTO bare_draw (member_id, entry_id, lot_id, points)
    SELECT d.member_id, s.id, d.id, d.remaining
    FROM due d JOIN sums s ON s.member_id = d.member_id AND s.point_type_id = d.point_type_id
)
UPDATE bare_balance b SET available = s.available_after, expired = b.expired + s.moved, head_seq = s.seq
FROM sums s WHERE b.member_id = s.member_id AND b.point_type_id = s.point_type_id

-- :left
SELECT (SELECT count(*) FROM points_lot WHERE is_open AND expires_at <= %(cutoff)s)
     + (SELECT count(*) FROM bare_lot WHERE is_open AND expires_at <= %(cutoff)s)

-- :differences
SELECT count(*) FROM points_balance p JOIN bare_balance b USING (member_id, point_type_id)
WHERE (p.available, p.expired, p.issued, p.head_seq) <> (b.available, b.expired, b.issued, b.head_seq)
