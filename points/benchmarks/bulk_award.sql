-- :tables
-- Tables like the ledger's: the same columns, indexes and checks, and nothing that guards them. `free_` gets no foreign keys.
CREATE TABLE bare_entry (LIKE points_entry INCLUDING ALL);
CREATE TABLE bare_lot (LIKE points_lot INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE bare_balance (LIKE points_balance INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE free_entry (LIKE points_entry INCLUDING ALL);
CREATE TABLE free_lot (LIKE points_lot INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE free_balance (LIKE points_balance INCLUDING ALL) WITH (fillfactor = 80);
INSERT INTO bare_balance SELECT * FROM points_balance;
INSERT INTO free_balance SELECT * FROM points_balance;
CREATE UNLOGGED TABLE staged_entry (LIKE points_entry);
CREATE UNLOGGED TABLE staged_lot (LIKE points_lot);
ALTER TABLE bare_entry SET (autovacuum_enabled = false);
ALTER TABLE bare_lot SET (autovacuum_enabled = false);
ALTER TABLE bare_balance SET (autovacuum_enabled = false);
ALTER TABLE free_entry SET (autovacuum_enabled = false);
ALTER TABLE free_lot SET (autovacuum_enabled = false);
ALTER TABLE free_balance SET (autovacuum_enabled = false);

-- :foreign_keys
ALTER TABLE bare_entry
    ADD FOREIGN KEY (member_id, point_type_id) REFERENCES bare_balance (member_id, point_type_id),
    ADD FOREIGN KEY (event_id, member_id) REFERENCES points_event (id, member_id),
    ADD FOREIGN KEY (corrects, member_id) REFERENCES bare_entry (id, member_id);
ALTER TABLE bare_lot ADD FOREIGN KEY (entry_id, member_id) REFERENCES bare_entry (id, member_id);

-- :forget
TRUNCATE staged_entry, staged_lot;

-- :count
SELECT count(*) FROM points_entry WHERE id > coalesce((SELECT max(id) FROM bare_entry), 0);

-- :stage
INSERT INTO staged_entry SELECT * FROM points_entry WHERE id > coalesce((SELECT max(id) FROM bare_entry), 0) ORDER BY id;
INSERT INTO staged_lot SELECT * FROM points_lot WHERE id > coalesce((SELECT max(id) FROM bare_lot), 0) ORDER BY id;

-- :entries
INSERT INTO bare_entry SELECT * FROM staged_entry;

-- :lots
INSERT INTO bare_lot (id, entry_id, points, remaining, is_pending, available_at, expires_at, member_id, point_type_id)
SELECT id, entry_id, points, remaining, is_pending, available_at, expires_at, member_id, point_type_id FROM staged_lot;

-- :balances
UPDATE bare_balance b SET
    available = b.available + s.available, pending = b.pending + s.pending, issued = b.issued + s.available + s.pending,
    head_seq = s.head_seq
FROM (
    SELECT member_id, point_type_id, max(seq) AS head_seq,
        sum(CASE WHEN to_account = 'available' THEN points ELSE 0 END)::bigint AS available,
        sum(CASE WHEN to_account = 'pending' THEN points ELSE 0 END)::bigint AS pending
    FROM staged_entry GROUP BY member_id, point_type_id
) s
WHERE b.member_id = s.member_id AND b.point_type_id = s.point_type_id;

-- :differences
SELECT count(*) FROM points_balance p
JOIN bare_balance b USING (member_id, point_type_id)
JOIN free_balance f USING (member_id, point_type_id)
WHERE (p.available, p.pending, p.issued, p.head_seq) <> (b.available, b.pending, b.issued, b.head_seq)
    OR (p.available, p.pending, p.issued, p.head_seq) <> (f.available, f.pending, f.issued, f.head_seq);
