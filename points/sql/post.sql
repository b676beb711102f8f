-- The one way to write the ledger.
--
-- points_post(postings) takes 1 to 10,000 movements of any members in one round trip. It locks the balance rows of
-- those members in member order, accepts or refuses each posting by itself with a reason code, inserts entries, opens
-- lots, draws lots (soonest expiry first, then oldest, never-expiring last; expired ones never), updates balances,
-- extends the members' hash chains, and returns one row per posting. A refused posting leaves nothing behind.
--
-- points_post_one is the plain reading of the law. Long runs of accruals, and long runs of sweeps (expiry, maturity),
-- take set-based roads to the same books; a test posts the same batches down both roads and compares every row.

-- What the digest of an entry covers, as text that reads the same on every server and in every session.
CREATE OR REPLACE FUNCTION points_content(
    member_id bigint, seq bigint, point_type_id bigint, kind text, from_account text, to_account text, points bigint,
    source text, reference text, line bigint, event_id bigint, rule_id bigint, corrects bigint,
    actor text, reason text, note text, occurred_at timestamptz, recorded_at timestamptz, available_after bigint,
    draws text
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT ROW(member_id, seq, point_type_id, kind, from_account, to_account, points, source, reference, line, event_id,
               rule_id, corrects, actor, reason, note, (extract(epoch FROM occurred_at) * 1000000)::bigint,
               (extract(epoch FROM recorded_at) * 1000000)::bigint, available_after, draws)::text
$$;

CREATE OR REPLACE FUNCTION points_chain_step(state bytea, head bytea, content text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sha256(coalesce(state, head) || convert_to(content, 'UTF8'));
END $$;

-- The chain over rows in order: points_chain(head before the first, content of each).
CREATE OR REPLACE AGGREGATE points_chain(bytea, text) (SFUNC = points_chain_step, STYPE = bytea);

-- The movements there are. The CHECK entry_movement says the same; this one answers with a code instead of an error.
CREATE OR REPLACE FUNCTION points_movement_exists(kind text, from_account text, to_account text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT kind || ' ' || coalesce(from_account, '*') || ' ' || to_account = ANY (ARRAY[
        'accrual issued available', 'accrual issued pending', 'maturity pending available', 'hold available held',
        'release held available', 'redemption available redeemed', 'redemption held redeemed',
        'restoration redeemed available', 'expiry available expired', 'reinstatement expired available',
        'clawback * issued', 'settlement available owed', 'adjustment issued available',
        'adjustment available issued', 'transfer available transfer', 'transfer transfer available'])
$$;

-- Writes one entry and moves its points between the accounts of its balance row. Lots are the caller's matter.
CREATE OR REPLACE FUNCTION points_write_entry(p points_posting, moved bigint, draws text, OUT entry_id bigint, OUT available_now bigint)
LANGUAGE plpgsql AS $$
DECLARE
    head record;
    at timestamptz := p.recorded_at;
    entry_digest bytea;
BEGIN
    SELECT newest.head_seq + 1 AS seq, newest.head_digest AS digest,
           b.available + CASE WHEN p.to_account = 'available' THEN moved WHEN p.from_account = 'available' THEN -moved ELSE 0 END AS available
    INTO head
    FROM points_balance b CROSS JOIN LATERAL (
        SELECT h.head_seq, h.head_digest FROM points_balance h WHERE h.member_id = p.member_id ORDER BY h.head_seq DESC LIMIT 1) newest
    WHERE b.member_id = p.member_id AND b.point_type_id = p.point_type_id;
    available_now := head.available;

    entry_digest := sha256(head.digest || convert_to(points_content(
        p.member_id, head.seq, p.point_type_id, p.kind, p.from_account, p.to_account, moved, p.source, p.reference,
        p.line, p.event_id, p.rule_id, p.corrects, p.actor, p.reason, p.note, p.occurred_at, at, available_now, draws), 'UTF8'));

    INSERT INTO points_entry (
        member_id, seq, point_type_id, kind, from_account, to_account, points, source, reference, line, event_id, rule_id,
        corrects, actor, reason, note, occurred_at, recorded_at, available_after, digest)
    VALUES (
        p.member_id, head.seq, p.point_type_id, p.kind, p.from_account, p.to_account, moved, p.source, p.reference,
        p.line, p.event_id, p.rule_id, p.corrects, p.actor, p.reason, p.note, p.occurred_at, at, available_now, entry_digest)
    RETURNING id INTO entry_id;

    UPDATE points_balance b SET
        available = available_now,
        pending = b.pending + CASE WHEN p.to_account = 'pending' THEN moved WHEN p.from_account = 'pending' THEN -moved ELSE 0 END,
        held = b.held + CASE WHEN p.to_account = 'held' THEN moved WHEN p.from_account = 'held' THEN -moved ELSE 0 END,
        owed = b.owed + CASE WHEN p.from_account = 'owed' THEN moved WHEN p.to_account = 'owed' THEN -moved ELSE 0 END,
        issued = b.issued + CASE WHEN p.from_account = 'issued' THEN moved WHEN p.to_account = 'issued' THEN -moved ELSE 0 END,
        redeemed = b.redeemed + CASE WHEN p.to_account = 'redeemed' THEN moved WHEN p.from_account = 'redeemed' THEN -moved ELSE 0 END,
        expired = b.expired + CASE WHEN p.to_account = 'expired' THEN moved WHEN p.from_account = 'expired' THEN -moved ELSE 0 END,
        transferred = b.transferred + CASE WHEN p.to_account = 'transfer' THEN moved WHEN p.from_account = 'transfer' THEN -moved ELSE 0 END,
        head_seq = head.seq,
        head_digest = entry_digest
    WHERE b.member_id = p.member_id AND b.point_type_id = p.point_type_id;
END $$;

-- Chooses lots for up to `wanted` points in the order of consumption; takes nothing yet.
CREATE OR REPLACE FUNCTION points_choose_lots(
    of_member bigint, of_type bigint, at timestamptz, wanted bigint, OUT lots bigint[], OUT amounts bigint[], OUT total bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    lot record;
    part bigint;
BEGIN
    lots := '{}'; amounts := '{}'; total := 0;
    FOR lot IN
        SELECT l.id, l.remaining FROM points_lot l
        WHERE l.member_id = of_member AND l.point_type_id = of_type AND l.is_open
            AND NOT l.is_pending AND (l.expires_at > at OR l.expires_at IS NULL)
        ORDER BY l.expires_at, l.id
    LOOP
        EXIT WHEN total >= wanted;
        part := least(lot.remaining, wanted - total);
        lots := lots || lot.id; amounts := amounts || part; total := total + part;
    END LOOP;
END $$;

-- 'lot:points,…' as the digest covers it; a return carries a plus.
CREATE OR REPLACE FUNCTION points_draw_text(lots bigint[], amounts bigint[], is_return boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(CASE WHEN is_return THEN '+' ELSE '' END || lot || ':' || amount, ',' ORDER BY lot), '')
    FROM unnest(lots, amounts) AS d (lot, amount)
$$;

-- Writes an entry that takes the given points from the given lots.
CREATE OR REPLACE FUNCTION points_write_draws(p points_posting, lots bigint[], amounts bigint[], moved bigint, OUT entry_id bigint, OUT available_now bigint)
LANGUAGE plpgsql AS $$
DECLARE
    written record := points_write_entry(p, moved, points_draw_text(lots, amounts, false));
BEGIN
    entry_id := written.entry_id; available_now := written.available_now;
    UPDATE points_lot l SET remaining = l.remaining - d.amount
    FROM unnest(lots, amounts) AS d (lot, amount) WHERE l.member_id = p.member_id AND l.id = d.lot;
    INSERT INTO points_draw (member_id, entry_id, lot_id, points)
    SELECT p.member_id, points_write_draws.entry_id, d.lot, d.amount FROM unnest(lots, amounts) AS d (lot, amount);
END $$;

-- How many points of a hold are neither captured nor released yet; null if the entry is no hold of this type.
CREATE OR REPLACE FUNCTION points_left_held(of_member bigint, of_type bigint, hold bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT h.points - coalesce((
        SELECT sum(c.points) FROM points_entry c
        WHERE c.member_id = of_member AND c.corrects = hold AND c.from_account = 'held'), 0)::bigint
    FROM points_entry h WHERE h.member_id = of_member AND h.id = hold AND h.kind = 'hold' AND h.point_type_id = of_type
$$;

-- Whether an open hold has points of a lot: they are not in what remains of it, and may yet come back to it.
CREATE OR REPLACE FUNCTION points_draws_held(of_member bigint, lot bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM points_draw d
        JOIN points_lot l ON l.member_id = d.member_id AND l.id = d.lot_id
        JOIN points_balance b ON b.member_id = l.member_id AND b.point_type_id = l.point_type_id AND b.held > 0
        WHERE d.member_id = of_member AND d.lot_id = lot AND NOT d.is_return
            AND points_left_held(of_member, l.point_type_id, d.entry_id) > 0)
$$;

-- Gives points back to the lots that the corrected entry drew, latest-ending first, never more than it drew.
CREATE OR REPLACE FUNCTION points_write_return(p points_posting, OUT entry_id bigint, OUT available_now bigint, OUT returnable bigint)
LANGUAGE plpgsql AS $$
DECLARE
    drawn_by bigint := p.corrects;
    lot record;
    part bigint;
    given bigint := 0;
    lots bigint[] := '{}';
    amounts bigint[] := '{}';
BEGIN
    -- Only what was spent is restored, what is held released, what has expired reinstated: anything else would be points
    -- out of nothing.
    IF NOT EXISTS (
        SELECT FROM points_entry e
        WHERE e.member_id = p.member_id AND e.id = drawn_by AND e.point_type_id = p.point_type_id
            AND e.kind = CASE p.kind WHEN 'restoration' THEN 'redemption' WHEN 'release' THEN 'hold' ELSE 'expiry' END
    ) THEN
        returnable := 0;
        RETURN;
    END IF;
    -- A captured hold drew its lots when it was held: the capture names the hold.
    IF NOT EXISTS (SELECT FROM points_draw d WHERE d.member_id = p.member_id AND d.entry_id = drawn_by) THEN
        SELECT e.corrects INTO drawn_by FROM points_entry e WHERE e.member_id = p.member_id AND e.id = p.corrects;
    END IF;
    returnable := 0;
    FOR lot IN
        SELECT l.id, d.points - coalesce(r.points, 0) AS left_to_return
        FROM points_draw d
        JOIN points_lot l ON l.member_id = d.member_id AND l.id = d.lot_id
        LEFT JOIN (
            SELECT back.lot_id, sum(back.points)::bigint AS points
            FROM points_entry e JOIN points_draw back ON back.member_id = e.member_id AND back.entry_id = e.id
            WHERE e.member_id = p.member_id AND back.is_return AND (
                e.corrects = drawn_by
                OR e.corrects IN (SELECT c.id FROM points_entry c WHERE c.member_id = p.member_id AND c.corrects = drawn_by))
            GROUP BY back.lot_id
        ) r ON r.lot_id = d.lot_id
        WHERE d.member_id = p.member_id AND d.entry_id = drawn_by AND NOT d.is_return
        ORDER BY l.expires_at DESC NULLS FIRST, l.id DESC
    LOOP
        returnable := returnable + lot.left_to_return;
        part := least(lot.left_to_return, p.points - given);
        IF part > 0 THEN
            lots := lots || lot.id; amounts := amounts || part; given := given + part;
        END IF;
    END LOOP;
    IF given < p.points THEN
        RETURN; -- entry_id stays null: refused
    END IF;

    SELECT w.entry_id, w.available_now INTO entry_id, available_now
    FROM points_write_entry(p, p.points, points_draw_text(lots, amounts, true)) w;
    UPDATE points_lot l SET
        remaining = l.remaining + d.amount,
        -- A lot with nothing else in it may live on; what was not spent keeps its end.
        expires_at = CASE WHEN p.kind = 'restoration' AND (l.remaining > 0 OR points_draws_held(l.member_id, l.id))
                          THEN l.expires_at
                          WHEN l.expires_at IS NOT NULL THEN greatest(l.expires_at, p.expires_at) END
    FROM unnest(lots, amounts) AS d (lot, amount) WHERE l.member_id = p.member_id AND l.id = d.lot;
    INSERT INTO points_draw (member_id, entry_id, lot_id, points, is_return)
    SELECT p.member_id, points_write_return.entry_id, d.lot, d.amount, true FROM unnest(lots, amounts) AS d (lot, amount);

    -- Returned points whose lot has others too, left or held, and ends before the least end, move on to a lot of their own.
    SELECT array_agg(l.id), array_agg(d.amount), sum(d.amount)::bigint INTO lots, amounts, given
    FROM unnest(lots, amounts) AS d (lot, amount)
    JOIN points_lot l ON l.member_id = p.member_id AND l.id = d.lot AND l.expires_at < p.expires_at;
    IF given > 0 THEN
        p.kind := 'transfer'; p.rule_id := NULL; p.corrects := points_write_return.entry_id;
        p.from_account := 'available'; p.to_account := 'transfer'; p.line := p.corrects;
        PERFORM FROM points_write_draws(p, lots, amounts, given);
        p.from_account := 'transfer'; p.to_account := 'available'; p.line := -p.corrects;
        INSERT INTO points_lot (member_id, point_type_id, entry_id, points, remaining, available_at, expires_at)
        SELECT p.member_id, p.point_type_id, w.entry_id, given, given, p.occurred_at, p.expires_at
        FROM points_write_entry(p, given, '') w;
    END IF;
END $$;

-- Pays what a member owes out of what became available; `after` is the entry that made it available. What was held or
-- pending may have ended meanwhile, and pays before the night takes it: whoever keeps nothing owes nothing.
CREATE OR REPLACE FUNCTION points_settle(p points_posting, after bigint, OUT available_now bigint)
LANGUAGE plpgsql AS $$
DECLARE
    debt bigint;
    chosen record;
    written record;
    lots bigint[];
    amounts bigint[];
    total bigint;
    gained bigint;
    ended record;
    part bigint;
BEGIN
    SELECT b.owed, b.available INTO debt, available_now
    FROM points_balance b WHERE b.member_id = p.member_id AND b.point_type_id = p.point_type_id;
    IF debt = 0 OR available_now = 0 THEN
        RETURN;
    END IF;
    chosen := points_choose_lots(p.member_id, p.point_type_id, p.recorded_at, debt);
    lots := chosen.lots; amounts := chosen.amounts; total := chosen.total;
    IF p.kind IN ('release', 'maturity') AND total < debt THEN
        SELECT least(debt, e.points) INTO gained FROM points_entry e WHERE e.member_id = p.member_id AND e.id = after;
        FOR ended IN
            SELECT l.id, l.remaining FROM points_lot l
            WHERE l.member_id = p.member_id AND l.point_type_id = p.point_type_id AND l.is_open
                AND NOT l.is_pending AND l.expires_at <= p.recorded_at
            ORDER BY l.expires_at DESC, l.id DESC
        LOOP
            EXIT WHEN total >= gained;
            part := least(ended.remaining, gained - total);
            lots := lots || ended.id; amounts := amounts || part; total := total + part;
        END LOOP;
    END IF;
    IF total = 0 THEN
        RETURN;
    END IF;
    p.kind := 'settlement'; p.from_account := 'available'; p.to_account := 'owed';
    p.line := after; p.corrects := NULL; p.rule_id := NULL;
    written := points_write_draws(p, lots, amounts, total);
    available_now := written.available_now;
END $$;

-- Takes back points of a corrected accrual: what is still pending or left of its own lots, then other open lots, then
-- debt; the policy `clamp` makes a member owe no more than is held.
CREATE OR REPLACE FUNCTION points_write_clawback(p points_posting, policy text, OUT entry_id bigint, OUT moved bigint, OUT available_now bigint)
LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint := p.points;
    first_line bigint := p.line * 4;
    part bigint;
    written record;
    chosen record;
    origin record;
    lots bigint[] := '{}';
    amounts bigint[] := '{}';
    taken bigint := 0;
BEGIN
    moved := 0;
    FOR origin IN
        SELECT l.id, l.remaining, l.is_pending FROM points_lot l
        WHERE l.member_id = p.member_id AND l.entry_id = p.corrects AND l.is_open ORDER BY l.id
    LOOP
        part := least(origin.remaining, wanted);
        CONTINUE WHEN part = 0;
        wanted := wanted - part;
        IF origin.is_pending THEN
            p.from_account := 'pending'; p.line := first_line;
            written := points_write_draws(p, ARRAY[origin.id], ARRAY[part], part);
            entry_id := coalesce(entry_id, written.entry_id); moved := moved + part;
        ELSE
            lots := lots || origin.id; amounts := amounts || part; taken := taken + part;
        END IF;
    END LOOP;
    IF wanted > 0 THEN
        chosen := points_choose_lots(p.member_id, p.point_type_id, p.recorded_at, wanted + taken);
        FOR i IN 1 .. cardinality(chosen.lots) LOOP
            CONTINUE WHEN chosen.lots[i] = ANY (lots) OR wanted = 0;
            part := least(chosen.amounts[i], wanted);
            lots := lots || chosen.lots[i]; amounts := amounts || part; taken := taken + part; wanted := wanted - part;
        END LOOP;
    END IF;
    IF taken > 0 THEN
        p.from_account := 'available'; p.line := first_line + 1;
        written := points_write_draws(p, lots, amounts, taken);
        entry_id := coalesce(entry_id, written.entry_id); moved := moved + taken;
    END IF;
    IF wanted > 0 AND policy <> 'owe' THEN
        -- What is held is not lost: it is owed, and pays when it is released. Only the rest is forgiven.
        SELECT least(wanted, greatest(0, b.held - b.owed)) INTO wanted
        FROM points_balance b WHERE b.member_id = p.member_id AND b.point_type_id = p.point_type_id;
    END IF;
    IF wanted > 0 THEN
        p.from_account := 'owed'; p.line := first_line + 2;
        written := points_write_entry(p, wanted, '');
        entry_id := coalesce(entry_id, written.entry_id); moved := moved + wanted;
    END IF;
    SELECT b.available INTO available_now
    FROM points_balance b WHERE b.member_id = p.member_id AND b.point_type_id = p.point_type_id;
END $$;

-- One posting, by the letter of the law. The caller holds the member's balance rows.
CREATE OR REPLACE FUNCTION points_post_one(p points_posting, ord int) RETURNS points_posted
LANGUAGE plpgsql AS $$
DECLARE
    result points_posted;
    known record;
    owner record;
    chosen record;
    written record;
    moved bigint;
    sweep boolean := p.kind IN ('expiry', 'maturity');
BEGIN
    result.ord := ord;
    result.status := 'refused';
    p.line := coalesce(p.line, 0); p.reason := coalesce(p.reason, ''); p.note := coalesce(p.note, '');

    SELECT m.status, t.is_redeemable, t.clawback_policy, b.available, b.held, b.owed INTO owner
    FROM points_balance b
    JOIN members_member m ON m.id = b.member_id
    JOIN points_pointtype t ON t.id = b.point_type_id
    WHERE b.member_id = p.member_id AND b.point_type_id = p.point_type_id;
    IF NOT FOUND THEN
        result.code := 'unknown_member'; RETURN result;
    END IF;
    result.available := owner.available;

    IF NOT points_movement_exists(p.kind, p.from_account, p.to_account) THEN
        result.code := 'movement_not_allowed'; RETURN result;
    ELSIF NOT sweep AND (p.points IS NULL OR p.points <= 0 OR p.points > 1000000000000) THEN
        result.code := 'points_out_of_range'; RETURN result;
    END IF;

    SELECT e.id, e.point_type_id, e.points, e.from_account, e.to_account, e.corrects INTO known
    FROM points_entry e
    WHERE e.member_id = p.member_id AND e.source = p.source AND e.kind = p.kind AND e.reference = p.reference
        AND e.line >= CASE WHEN p.kind = 'clawback' THEN p.line * 4 ELSE p.line END
        AND e.line <= CASE WHEN p.kind = 'clawback' THEN p.line * 4 + 3 ELSE p.line END
    ORDER BY e.line LIMIT 1;
    IF FOUND THEN
        IF known.point_type_id = p.point_type_id AND known.to_account = p.to_account
            AND known.corrects IS NOT DISTINCT FROM p.corrects
            AND (sweep OR p.kind = 'clawback' OR (known.points = p.points AND known.from_account = p.from_account)) THEN
            result.status := 'replayed'; result.entry_id := known.id; result.points := known.points;
        ELSE
            result.code := 'reference_conflict';
        END IF;
        RETURN result;
    END IF;

    IF p.kind IN ('accrual', 'redemption', 'hold') AND p.from_account <> 'held' AND owner.status <> 'active' THEN
        result.code := 'member_not_active'; RETURN result;
    ELSIF p.kind IN ('redemption', 'hold') AND NOT owner.is_redeemable THEN
        result.code := 'points_not_redeemable'; RETURN result;
    END IF;

    IF p.from_account = 'held' THEN
        -- A hold gives its own points, not those of another.
        result.points := coalesce(points_left_held(p.member_id, p.point_type_id, p.corrects), 0);
        IF result.points < p.points THEN
            result.code := 'insufficient_points'; RETURN result;
        END IF;
    END IF;

    IF p.from_account = 'issued' OR (p.kind = 'transfer' AND p.to_account = 'available') THEN
        written := points_write_entry(p, p.points, '');
        INSERT INTO points_lot (member_id, point_type_id, entry_id, points, remaining, is_pending, available_at, expires_at)
        VALUES (p.member_id, p.point_type_id, written.entry_id, p.points, p.points, p.to_account = 'pending',
                coalesce(p.available_at, p.occurred_at), p.expires_at);
        moved := p.points;

    ELSIF p.kind = 'clawback' THEN
        written := points_write_clawback(p, owner.clawback_policy);
        moved := written.moved;
        IF moved = 0 THEN
            result.code := 'nothing_due'; result.points := 0; RETURN result;
        END IF;

    ELSIF p.kind = 'redemption' AND p.from_account = 'held' THEN
        written := points_write_entry(p, p.points, '');
        moved := p.points;

    ELSIF p.kind IN ('release', 'restoration', 'reinstatement') THEN
        written := points_write_return(p);
        IF written.entry_id IS NULL THEN
            result.code := 'nothing_to_return'; result.points := written.returnable; RETURN result;
        END IF;
        moved := p.points;

    ELSIF p.kind = 'maturity' THEN
        SELECT coalesce(sum(l.remaining), 0)::bigint INTO moved FROM points_lot l
        WHERE l.member_id = p.member_id AND l.point_type_id = p.point_type_id AND l.is_open AND l.is_pending
            AND l.available_at <= p.available_at;
        IF moved = 0 THEN
            result.code := 'nothing_due'; result.points := 0; RETURN result;
        END IF;
        written := points_write_entry(p, moved, '');
        UPDATE points_lot l SET is_pending = false
        WHERE l.member_id = p.member_id AND l.point_type_id = p.point_type_id AND l.is_open AND l.is_pending
            AND l.available_at <= p.available_at;

    ELSIF p.kind = 'expiry' THEN
        SELECT coalesce(array_agg(l.id), '{}') AS lots, coalesce(array_agg(l.remaining), '{}') AS amounts,
               coalesce(sum(l.remaining), 0)::bigint AS total INTO chosen
        FROM points_lot l
        WHERE l.member_id = p.member_id AND l.point_type_id = p.point_type_id AND l.is_open AND NOT l.is_pending
            AND l.expires_at <= p.expires_at;
        IF chosen.total = 0 THEN
            result.code := 'nothing_due'; result.points := 0; RETURN result;
        END IF;
        moved := chosen.total;
        written := points_write_draws(p, chosen.lots, chosen.amounts, moved);

    ELSE -- redemption, hold, settlement, adjustment and transfer out of available
        chosen := points_choose_lots(p.member_id, p.point_type_id, p.recorded_at, p.points);
        IF chosen.total < p.points THEN
            result.code := 'insufficient_points'; result.points := chosen.total; RETURN result;
        END IF;
        written := points_write_draws(p, chosen.lots, chosen.amounts, p.points);
        moved := p.points;
    END IF;

    result.status := 'posted'; result.entry_id := written.entry_id; result.points := moved;
    result.available := written.available_now;
    IF p.to_account = 'available' AND owner.owed > 0 THEN
        result.available := points_settle(p, written.entry_id);
    END IF;
    RETURN result;
END $$;

-- A long run of accruals of members who owe nothing, as one statement. Planned anew each time, so that the planner knows
-- how long the run is.
CREATE OR REPLACE FUNCTION points_post_accruals(postings points_posting[]) RETURNS SETOF points_posted
LANGUAGE plpgsql SET work_mem = '64MB' AS $$
BEGIN
    RETURN QUERY EXECUTE $statement$
    WITH given AS MATERIALIZED (
        -- Each posting stays one value through joins, sorts and windows: copied column by column they took a sixth of an award.
        SELECT u.p, u.ord, (u.p).member_id, (u.p).point_type_id, (u.p).from_account, (u.p).to_account, (u.p).points,
               (u.p).source, (u.p).reference, coalesce((u.p).line, 0) AS at_line
        FROM (SELECT unnest($1) AS p, generate_series(1, cardinality($1)) AS ord) u
    ), heads AS MATERIALIZED (
        SELECT DISTINCT ON (b.member_id) b.member_id, b.head_seq, b.head_digest
        FROM points_balance b WHERE b.member_id IN (SELECT g.member_id FROM given g)
        ORDER BY b.member_id, b.head_seq DESC
    ), looked_up AS (
        SELECT g.*, k.id AS known_id, b.available AS available_before, h.head_seq, h.head_digest,
               (k.point_type_id, k.points, k.to_account) IS NOT DISTINCT FROM (g.point_type_id, g.points, g.to_account::varchar) AS same,
               CASE WHEN b.id IS NULL THEN 'unknown_member'
                    WHEN (g.from_account = 'issued' AND g.to_account IN ('available', 'pending')) IS NOT TRUE THEN 'movement_not_allowed'
                    WHEN g.points IS NULL OR g.points <= 0 OR g.points > 1000000000000 THEN 'points_out_of_range'
                    WHEN k.id IS NULL AND m.status <> 'active' THEN 'member_not_active' END AS refusal
        FROM given g
        LEFT JOIN points_balance b ON b.member_id = g.member_id AND b.point_type_id = g.point_type_id
        LEFT JOIN heads h ON h.member_id = g.member_id
        LEFT JOIN members_member m ON m.id = g.member_id
        -- One look into the index a posting: where statistics are old, the planner would rather hash all entries.
        LEFT JOIN LATERAL (
            SELECT k.id, k.point_type_id, k.points, k.to_account FROM points_entry k
            WHERE k.member_id = g.member_id AND k.source = g.source AND k.kind = 'accrual' AND k.reference = g.reference
                AND k.line = g.at_line LIMIT 1) k ON true
    ), judged AS MATERIALIZED (
        -- Of copies within the batch the first that is not refused counts.
        SELECT u.*, row_number() OVER copies AS copy, first_value(u.ord) OVER copies AS first_ord
        FROM looked_up u
        WINDOW copies AS (PARTITION BY u.member_id, u.source, u.reference, u.at_line, u.refusal IS NULL ORDER BY u.ord ROWS UNBOUNDED PRECEDING)
    ), numbered AS MATERIALIZED (
        SELECT j.*, nextval('points_entry_id_seq') AS id,
               j.head_seq + row_number() OVER member_order AS seq,
               (j.available_before + sum(CASE WHEN j.to_account = 'available' THEN j.points ELSE 0 END) OVER type_order)::bigint AS available_after
        FROM judged j
        WHERE j.refusal IS NULL AND j.known_id IS NULL AND j.copy = 1
        WINDOW member_order AS (PARTITION BY j.member_id ORDER BY j.ord),
               type_order AS (PARTITION BY j.member_id, j.point_type_id ORDER BY j.ord ROWS UNBOUNDED PRECEDING)
    ), chained AS MATERIALIZED (
        SELECT n.*, points_chain(n.head_digest, points_content(
                   n.member_id, n.seq, n.point_type_id, (n.p).kind, n.from_account, n.to_account, n.points, n.source,
                   n.reference, n.at_line, (n.p).event_id, (n.p).rule_id, (n.p).corrects, (n.p).actor,
                   coalesce((n.p).reason, ''), coalesce((n.p).note, ''), (n.p).occurred_at, (n.p).recorded_at,
                   n.available_after, ''))
               OVER (PARTITION BY n.member_id ORDER BY n.ord ROWS UNBOUNDED PRECEDING) AS digest
        FROM numbered n
    ), entries AS (
        INSERT INTO points_entry (
            id, member_id, seq, point_type_id, kind, from_account, to_account, points, source, reference, line, event_id,
            rule_id, corrects, actor, reason, note, occurred_at, recorded_at, available_after, digest)
        OVERRIDING SYSTEM VALUE
        SELECT id, member_id, seq, point_type_id, (p).kind, from_account, to_account, points, source, reference, at_line,
               (p).event_id, (p).rule_id, (p).corrects, (p).actor, coalesce((p).reason, ''), coalesce((p).note, ''),
               (p).occurred_at, (p).recorded_at, available_after, digest
        FROM chained
    ), lots AS (
        INSERT INTO points_lot (member_id, point_type_id, entry_id, points, remaining, is_pending, available_at, expires_at)
        SELECT member_id, point_type_id, id, points, points, to_account = 'pending',
               coalesce((p).available_at, (p).occurred_at), (p).expires_at
        FROM chained
    ), sums AS (
        SELECT member_id, point_type_id, sum(points)::bigint AS issued,
               coalesce(sum(points) FILTER (WHERE to_account = 'pending'), 0)::bigint AS pending,
               max(seq) AS head_seq, (array_agg(digest ORDER BY seq DESC))[1] AS head_digest
        FROM chained GROUP BY member_id, point_type_id
    ), balances AS (
        UPDATE points_balance b SET
            available = b.available + s.issued - s.pending, pending = b.pending + s.pending, issued = b.issued + s.issued,
            head_seq = s.head_seq, head_digest = s.head_digest
        FROM sums s WHERE b.member_id = s.member_id AND b.point_type_id = s.point_type_id
    )
    SELECT j.ord::int,
           CASE WHEN j.refusal IS NOT NULL THEN 'refused'
                WHEN j.known_id IS NOT NULL THEN CASE WHEN j.same THEN 'replayed' ELSE 'refused' END
                WHEN c.ord = j.ord THEN 'posted'
                WHEN (c.point_type_id, c.points, c.to_account) IS NOT DISTINCT FROM (j.point_type_id, j.points, j.to_account) THEN 'replayed'
                ELSE 'refused' END,
           CASE WHEN j.refusal IS NOT NULL THEN j.refusal
                WHEN j.known_id IS NOT NULL THEN CASE WHEN NOT j.same THEN 'reference_conflict' END
                WHEN c.ord <> j.ord AND (c.point_type_id, c.points, c.to_account) IS DISTINCT FROM (j.point_type_id, j.points, j.to_account)
                    THEN 'reference_conflict' END,
           coalesce(j.known_id, c.id), j.points, coalesce(c.available_after, j.available_before)
    FROM judged j LEFT JOIN chained c ON c.ord = j.first_ord
    $statement$ USING postings;
END $$;

-- A long run of sweeps (expiry or maturity) of members who owe nothing, as one statement.
CREATE OR REPLACE FUNCTION points_post_sweeps(postings points_posting[]) RETURNS SETOF points_posted
LANGUAGE plpgsql SET work_mem = '64MB' AS $$
BEGIN
    RETURN QUERY EXECUTE $statement$
    WITH given AS MATERIALIZED (
        SELECT p.*, coalesce(p.line, 0) AS at_line
        FROM unnest($1) WITH ORDINALITY AS p (
            member_id, point_type_id, kind, from_account, to_account, points, source, reference, line, event_id, rule_id,
            corrects, actor, reason, note, occurred_at, recorded_at, available_at, expires_at, ord)
    ), judged AS MATERIALIZED (
        SELECT g.*, k.id AS known_id, k.points AS known_points, b.available AS available_before,
               CASE WHEN b.id IS NULL THEN 'unknown_member'
                    WHEN NOT coalesce(points_movement_exists(g.kind, g.from_account, g.to_account), false) THEN 'movement_not_allowed' END AS refusal
        FROM given g
        LEFT JOIN points_balance b ON b.member_id = g.member_id AND b.point_type_id = g.point_type_id
        LEFT JOIN LATERAL (
            SELECT k.id, k.points FROM points_entry k
            WHERE k.member_id = g.member_id AND k.source = g.source AND k.kind = g.kind AND k.reference = g.reference
                AND k.line = g.at_line LIMIT 1) k ON true
    ), due AS MATERIALIZED (
        SELECT j.ord, l.id AS lot_id, l.member_id, l.remaining, j.kind
        FROM judged j
        JOIN points_lot l ON l.member_id = j.member_id AND l.point_type_id = j.point_type_id AND l.is_open
        WHERE j.refusal IS NULL AND j.known_id IS NULL
            AND CASE WHEN j.kind = 'expiry' THEN NOT l.is_pending AND l.expires_at <= j.expires_at
                     ELSE l.is_pending AND l.available_at <= j.available_at END
    ), sums AS MATERIALIZED (
        SELECT d.ord, sum(d.remaining)::bigint AS moved,
               array_agg(d.lot_id ORDER BY d.lot_id) AS lots, array_agg(d.remaining ORDER BY d.lot_id) AS amounts,
               CASE WHEN d.kind = 'expiry' THEN string_agg(d.lot_id || ':' || d.remaining, ',' ORDER BY d.lot_id) ELSE '' END AS draws
        FROM due d GROUP BY d.ord, d.kind
    ), heads AS MATERIALIZED (
        SELECT DISTINCT ON (b.member_id) b.member_id, b.head_seq, b.head_digest
        FROM points_balance b WHERE b.member_id IN (SELECT g.member_id FROM given g)
        ORDER BY b.member_id, b.head_seq DESC
    ), numbered AS MATERIALIZED (
        SELECT j.*, s.moved, s.lots, s.amounts, s.draws, nextval('points_entry_id_seq') AS id,
               h.head_digest, h.head_seq + row_number() OVER (PARTITION BY j.member_id ORDER BY j.ord) AS seq,
               j.available_before + CASE WHEN j.kind = 'expiry' THEN -s.moved ELSE s.moved END AS available_after
        FROM judged j JOIN sums s ON s.ord = j.ord JOIN heads h ON h.member_id = j.member_id
    ), chained AS MATERIALIZED (
        SELECT n.*, points_chain(n.head_digest, points_content(
                   n.member_id, n.seq, n.point_type_id, n.kind, n.from_account, n.to_account, n.moved, n.source, n.reference,
                   n.at_line, n.event_id, n.rule_id, n.corrects, n.actor, coalesce(n.reason, ''), coalesce(n.note, ''),
                   n.occurred_at, n.recorded_at, n.available_after, n.draws))
               OVER (PARTITION BY n.member_id ORDER BY n.ord ROWS UNBOUNDED PRECEDING) AS digest
        FROM numbered n
    ), entries AS (
        INSERT INTO points_entry (
            id, member_id, seq, point_type_id, kind, from_account, to_account, points, source, reference, line, event_id,
            rule_id, corrects, actor, reason, note, occurred_at, recorded_at, available_after, digest)
        OVERRIDING SYSTEM VALUE
        SELECT id, member_id, seq, point_type_id, kind, from_account, to_account, moved, source, reference, at_line, event_id,
               rule_id, corrects, actor, coalesce(reason, ''), coalesce(note, ''), occurred_at, recorded_at, available_after, digest
        FROM chained
    ), draws AS (
        INSERT INTO points_draw (member_id, entry_id, lot_id, points)
        -- The lots come with their entry: joining them to it again is a nested loop, for nobody tells the planner how many there are.
        SELECT c.member_id, c.id, d.lot_id, d.amount
        FROM chained c CROSS JOIN LATERAL unnest(c.lots, c.amounts) AS d (lot_id, amount) WHERE c.kind = 'expiry'
    ), lots AS (
        UPDATE points_lot l SET
            remaining = CASE WHEN d.kind = 'expiry' THEN 0 ELSE l.remaining END, is_pending = false
        FROM due d WHERE l.member_id = d.member_id AND l.id = d.lot_id
    ), balances AS (
        UPDATE points_balance b SET
            available = c.available_after,
            expired = b.expired + CASE WHEN c.kind = 'expiry' THEN c.moved ELSE 0 END,
            pending = b.pending - CASE WHEN c.kind = 'maturity' THEN c.moved ELSE 0 END,
            head_seq = c.seq, head_digest = c.digest
        FROM chained c WHERE b.member_id = c.member_id AND b.point_type_id = c.point_type_id
    )
    SELECT j.ord::int,
           CASE WHEN c.ord IS NOT NULL THEN 'posted' WHEN j.known_id IS NOT NULL THEN 'replayed' ELSE 'refused' END,
           CASE WHEN c.ord IS NULL AND j.known_id IS NULL THEN coalesce(j.refusal, 'nothing_due') END,
           coalesce(c.id, j.known_id), coalesce(c.moved, j.known_points, 0), coalesce(c.available_after, j.available_before)
    FROM judged j LEFT JOIN chained c ON c.ord = j.ord
    $statement$ USING postings;
END $$;

-- Locks the balance rows of these members in member order: the one order in which everybody locks.
CREATE OR REPLACE FUNCTION points_lock(members bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM points_balance b WHERE b.member_id = ANY (members) ORDER BY b.member_id, b.point_type_id FOR UPDATE;
END $$;

-- Chooses the road. The caller holds the balance rows of all these members.
CREATE OR REPLACE FUNCTION points_post_held(postings points_posting[], singly boolean) RETURNS SETOF points_posted
LANGUAGE plpgsql AS $$
DECLARE
    wanted int := cardinality(postings);
    debtors bigint[];
    kinds text[];
    posting points_posting;
    place int := 0;
    rest points_posting[] := '{}';
    places int[] := '{}';
BEGIN
    IF wanted < 16 OR singly THEN
        FOR i IN 1 .. wanted LOOP
            RETURN NEXT points_post_one(postings[i], i);
        END LOOP;
        RETURN;
    END IF;
    -- Whoever owes pays out of each credit as it comes, and so walks the plain road.
    debtors := ARRAY(SELECT b.member_id FROM points_balance b
        WHERE b.member_id IN (SELECT p.member_id FROM unnest(postings) AS p) AND b.owed > 0);
    IF debtors <> '{}' THEN
        FOREACH posting IN ARRAY postings LOOP
            place := place + 1;
            IF posting.member_id = ANY (debtors) THEN
                RETURN NEXT points_post_one(posting, place);
            ELSE
                rest := rest || posting; places := places || place;
            END IF;
        END LOOP;
        IF cardinality(rest) > 0 THEN
            RETURN QUERY SELECT places[p.ord], p.status, p.code, p.entry_id, p.points, p.available FROM points_post_held(rest, false) p;
        END IF;
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT p.kind) INTO kinds FROM unnest(postings) AS p;
    IF kinds = '{accrual}' THEN
        RETURN QUERY SELECT * FROM points_post_accruals(postings);
    ELSIF kinds IN ('{expiry}', '{maturity}') AND NOT EXISTS (
        -- Two sweeps of one balance in one batch would both see what is due.
        SELECT FROM unnest(postings) AS p GROUP BY p.member_id, p.point_type_id HAVING count(*) > 1
    ) THEN
        RETURN QUERY SELECT * FROM points_post_sweeps(postings);
    ELSE
        FOR i IN 1 .. wanted LOOP
            RETURN NEXT points_post_one(postings[i], i);
        END LOOP;
    END IF;
END $$;

-- The door. `singly` walks the plain road whatever the batch: for the test that compares the roads.
CREATE OR REPLACE FUNCTION points_post(postings points_posting[], singly boolean DEFAULT false) RETURNS SETOF points_posted
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    wanted int := coalesce(cardinality(postings), 0);
BEGIN
    IF wanted = 0 OR wanted > 10000 THEN
        RAISE EXCEPTION 'a batch holds 1 to 10000 postings, not %', wanted USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF wanted = 1 THEN
        PERFORM points_lock(ARRAY[(postings[1]).member_id]);
        RETURN NEXT points_post_one(postings[1], 1);
        RETURN;
    END IF;
    PERFORM points_lock(ARRAY(SELECT DISTINCT p.member_id FROM unnest(postings) AS p));
    RETURN QUERY SELECT * FROM points_post_held(postings, singly);
END $$;
