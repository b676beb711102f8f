-- A refund: takes back what the refunded part of an event earned, and gives back the points that were spent on it.
--
-- What is kept of an award of P points after refunds of R out of A is floor(P × (A − R) / A), R counted over all refunds
-- so far. That depends on the sum alone, so any split of refunds, in any order, ends at the same books: each refund makes
-- up the difference between what is due by now and what earlier ones have moved, whatever happened between them. Points
-- that expired unused before the refund are not asked for again. A multiplier's bonus counts the base points it
-- multiplied for A, and what is kept of them for A − R.

-- Of a rule's basis in an event, how much a refund of this amount or these items takes. A refund without items counts in
-- proportion, so line items are measured in their share times the amount: whole numbers, whose sums are exact. Of a bill
-- with a discount on the whole, refunded lines also tell what they were before it (gross_minor), as its own lines do.
-- Of such a bill they count as goods for every basis: where points or a coupon paid nearly all, money tells nothing.
CREATE OR REPLACE FUNCTION points_refund_share(
    basis text, wanted text[], event_items jsonb, event_amount bigint, refund_amount bigint, refund_items jsonb,
    OUT total numeric, OUT taken numeric
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    goods numeric;
    goods_back numeric;
    money_for_goods numeric;
BEGIN
    total := event_amount; taken := refund_amount;
    IF basis = 'items' THEN
        SELECT coalesce(sum((item ->> 'amount_minor')::bigint), 0) INTO total FROM jsonb_array_elements(event_items) AS item
        WHERE cardinality(wanted) = 0 OR item ->> 'category' = ANY (wanted);
        IF refund_items IS NOT NULL THEN
            SELECT coalesce(sum(coalesce(item ->> 'gross_minor', item ->> 'amount_minor')::bigint), 0) INTO taken
            FROM jsonb_array_elements(refund_items) AS item
            WHERE cardinality(wanted) = 0 OR item ->> 'category' = ANY (wanted);
        ELSE
            taken := NULL;
        END IF;
        taken := coalesce(taken * greatest(event_amount, 1), total * refund_amount);
        total := total * greatest(event_amount, 1);
    ELSE
        SELECT sum((item ->> 'amount_minor')::bigint) INTO goods FROM jsonb_array_elements(event_items) AS item;
        IF goods > event_amount THEN
            SELECT coalesce(sum((item ->> 'gross_minor')::bigint), 0), coalesce(sum((item ->> 'amount_minor')::bigint), 0)
            INTO goods_back, money_for_goods
            FROM jsonb_array_elements(refund_items) AS item WHERE item ? 'gross_minor';
            taken := goods_back * greatest(event_amount, 1) + goods * (refund_amount - money_for_goods);
            total := goods * greatest(event_amount, 1);
        END IF;
    END IF;
END $$;

-- Whether nothing is left of an event: all its money is back, and unless some of it went back as money alone, all goods
-- are too, with every piece of what cost nothing.
CREATE OR REPLACE FUNCTION points_is_refunded(of_member bigint, of_event bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT o.amount_minor IS NULL OR (sum(f.amount_minor) >= o.amount_minor AND (
            bool_or(f.items IS NULL) OR (sum(s.taken) >= max(s.total) AND NOT EXISTS (
                SELECT FROM (
                    SELECT coalesce(item ->> 'sku', '') AS sku, coalesce(item ->> 'category', '') AS category,
                        sum((item ->> 'quantity')::numeric) AS pieces
                    FROM jsonb_array_elements(o.items) AS item GROUP BY 1, 2
                    HAVING sum(coalesce((item ->> 'amount_minor')::bigint, o.amount_minor)) = 0
                ) free
                WHERE free.pieces > (
                    SELECT coalesce(sum((item ->> 'quantity')::numeric), 0)
                    FROM points_event g CROSS JOIN LATERAL jsonb_array_elements(g.items) AS item
                    WHERE g.member_id = of_member AND g.refund_of = of_event
                        AND coalesce(item ->> 'sku', '') = free.sku AND coalesce(item ->> 'category', '') = free.category)))))
        FROM points_event o
        JOIN points_event f ON f.member_id = of_member AND f.refund_of = of_event
        CROSS JOIN LATERAL points_refund_share('net', '{}', o.items, o.amount_minor, f.amount_minor, f.items) s
        WHERE o.member_id = of_member AND o.id = of_event
        GROUP BY o.amount_minor, o.items
    ), false)
$$;

CREATE OR REPLACE FUNCTION points_refund(
    of_member bigint, of_event bigint, amount bigint, refund_items jsonb, of_source text, of_reference text,
    of_digest bytea, occurred timestamptz, of_actor text, at timestamptz, zone text, least_end timestamptz,
    of_reason text DEFAULT 'return'
) RETURNS points_refunded LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    result points_refunded;
    original points_event;
    known record;
    new_id bigint;
    before bigint;
    full_refund boolean;
    by_rest boolean;
    award record;
    share_now numeric;
    share_total numeric;
    target bigint;
    base_type bigint;
    base_points numeric;
    base_kept numeric;
    moved bigint;
    spared bigint;
    due bigint;
    place bigint := 0;
    usage_rules bigint[] := '{}';
    usage_days date[] := '{}';
    usage_points bigint[] := '{}';
    given_back points_posting;
    posted record;
BEGIN
    result.status := 'rejected';
    PERFORM points_lock(ARRAY[of_member]);
    SELECT r.target, r.digest = of_digest AS same INTO known FROM points_reference r
    WHERE r.source = of_source AND r.operation = 'refund' AND r.reference = of_reference;
    IF FOUND THEN
        IF known.same THEN
            result.status := 'replayed'; result.event_id := known.target;
        ELSE
            result.code := 'reference_conflict';
        END IF;
        RETURN result;
    END IF;

    SELECT * INTO original FROM points_event e WHERE e.member_id = of_member AND e.id = of_event;
    IF original.id IS NULL OR original.type = 'refund' THEN
        result.code := 'unknown_event'; RETURN result;
    ELSIF of_reason NOT IN ('return', 'chargeback') THEN
        result.code := 'unknown_reason'; RETURN result;
    END IF;
    SELECT coalesce(sum(e.amount_minor), 0)::bigint INTO before
    FROM points_event e WHERE e.member_id = of_member AND e.refund_of = of_event;
    result.refunded_before := before;
    result.amount_minor := original.amount_minor;
    by_rest := refund_items IS NULL AND amount IS NULL;
    IF refund_items IS NOT NULL AND amount IS NULL THEN
        SELECT sum((item ->> 'amount_minor')::bigint)::bigint INTO amount FROM jsonb_array_elements(refund_items) AS item;
    END IF;
    IF points_is_refunded(of_member, of_event) THEN
        result.code := 'already_refunded'; RETURN result;
    ELSIF original.amount_minor IS NULL THEN
        IF amount IS NOT NULL THEN
            result.code := 'event_without_amount'; RETURN result;
        END IF;
    ELSE
        amount := coalesce(amount, original.amount_minor - before);
        -- Without money goods come back, at least a piece, or the rest of them.
        IF amount < 0 OR (amount = 0 AND original.amount_minor > 0 AND NOT by_rest AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(refund_items) AS item
            WHERE (item ->> 'gross_minor')::bigint > 0 OR (item ->> 'quantity')::numeric > 0)) THEN
            result.code := 'amount_not_positive'; RETURN result;
        ELSIF before + amount > original.amount_minor THEN
            result.code := 'refund_exceeds_event'; RETURN result;
        END IF;
    END IF;

    new_id := nextval(pg_get_serial_sequence('points_event', 'id'));
    IF points_claim(of_source, 'refund', of_reference, of_member, of_digest, new_id) IS DISTINCT FROM new_id THEN
        result.code := 'reference_conflict'; RETURN result; -- another member's refund took it at this moment
    END IF;
    INSERT INTO points_event (
        id, member_id, type, occurred_at, recorded_at, amount_minor, currency, channel, store, items, source, reference,
        refund_of, tier, attributes)
    OVERRIDING SYSTEM VALUE
    VALUES (new_id, of_member, 'refund', occurred, at, amount, original.currency, original.channel, original.store,
            refund_items, of_source, of_reference, of_event, original.tier,
            CASE WHEN of_reason = 'return' THEN '{}' ELSE jsonb_build_object('reason', of_reason) END);

    full_refund := points_is_refunded(of_member, of_event);

    -- First what was spent on the purchase goes back to its lots, so that the clawback can find it there.
    SELECT max(s.total), sum(s.taken) INTO share_total, share_now
    FROM points_event f
    CROSS JOIN LATERAL points_refund_share(
        'net', '{}', original.items, original.amount_minor, f.amount_minor, f.items) s
    WHERE f.member_id = of_member AND f.refund_of = of_event;
    FOR award IN
        SELECT e.* FROM points_entry e
        WHERE e.member_id = of_member AND e.event_id = of_event AND e.kind = 'redemption' ORDER BY e.seq
    LOOP
        target := CASE WHEN full_refund THEN award.points
                       WHEN share_total > 0 THEN div(award.points * least(share_now, share_total), share_total)
                       ELSE 0 END;
        -- By refunds, that is: what a cancellation gave back names no event.
        SELECT coalesce(sum(e.points), 0)::bigint INTO moved FROM points_entry e
        WHERE e.member_id = of_member AND e.corrects = award.id AND e.kind = 'restoration' AND e.event_id IS NOT NULL;
        due := target - moved;
        place := place + 1;
        CONTINUE WHEN due <= 0;
        given_back := ROW(
            of_member, award.point_type_id, 'restoration', 'redeemed', 'available', due, of_source, of_reference, place,
            new_id, NULL, award.id, of_actor, '', '', occurred, at, NULL, least_end)::points_posting;
        SELECT p.code, p.points INTO posted FROM points_post(ARRAY[given_back]) p;
        IF posted.code = 'nothing_to_return' AND posted.points > 0 THEN
            given_back.points := posted.points; -- a part was given back before, by a cancellation
            PERFORM FROM points_post(ARRAY[given_back]);
        END IF;
    END LOOP;

    -- Base awards before multipliers: a bonus goes with the points it multiplied, whatever its own rule's basis.
    FOR award IN
        SELECT e.*, r.amount_basis, r.categories::text[] AS categories, r.award_kind = 'multiplier' AS multiplies, r.is_base
        FROM points_entry e LEFT JOIN points_earningrule r ON r.id = e.rule_id
        WHERE e.member_id = of_member AND e.source = original.source AND e.kind = 'accrual'
            AND e.reference = original.reference AND e.event_id = of_event
        ORDER BY e.point_type_id, multiplies, e.seq
    LOOP
        place := place + 1;
        IF award.point_type_id IS DISTINCT FROM base_type THEN
            base_type := award.point_type_id; base_points := 0; base_kept := 0;
        END IF;
        SELECT coalesce(max(s.total), 0), coalesce(sum(s.taken), 0) INTO share_total, share_now
        FROM points_event f
        CROSS JOIN LATERAL points_refund_share(
            award.amount_basis, award.categories, original.items, original.amount_minor, f.amount_minor, f.items) s
        WHERE f.member_id = of_member AND f.refund_of = of_event;
        target := CASE WHEN full_refund THEN award.points
            WHEN award.multiplies AND base_points > 0 THEN award.points - div(award.points * base_kept, base_points)
            WHEN share_total > 0 THEN award.points - div(award.points * greatest(0, share_total - share_now), share_total)
            ELSE 0 END;
        IF award.is_base AND NOT award.multiplies THEN
            base_points := base_points + award.points; base_kept := base_kept + award.points - target;
        END IF;
        -- Also what expired in a lot that a restoration made, in the share that came from the award's own.
        WITH RECURSIVE kept_in AS (
            SELECT l.id, 1::numeric AS share FROM points_lot l WHERE l.member_id = of_member AND l.entry_id = award.id
            UNION ALL
            SELECT l.id, k.share * d.points / l.points
            FROM kept_in k
            JOIN points_draw d ON d.member_id = of_member AND d.lot_id = k.id
            JOIN points_entry o ON o.member_id = d.member_id AND o.id = d.entry_id AND o.kind = 'transfer'
            JOIN points_entry i ON i.member_id = o.member_id AND i.corrects = o.corrects AND i.from_account = 'transfer'
            JOIN points_lot l ON l.member_id = i.member_id AND l.entry_id = i.id
        )
        SELECT floor(round(coalesce(sum(d.points * k.share), 0), 6))::bigint INTO spared
        FROM kept_in k JOIN points_draw d ON d.member_id = of_member AND d.lot_id = k.id
        JOIN points_entry x ON x.member_id = d.member_id AND x.id = d.entry_id AND x.kind = 'expiry';
        -- What a clamp could not take is asked for again by the next part, or the parts would take less than the whole.
        SELECT coalesce(sum(e.points), 0)::bigint INTO moved FROM points_entry e
        WHERE e.member_id = of_member AND e.corrects = award.id AND e.kind = 'clawback';
        due := least(target, award.points - spared) - moved;
        CONTINUE WHEN due <= 0;
        SELECT p.code, p.points INTO posted FROM points_post(ARRAY[ROW(
            of_member, award.point_type_id, 'clawback', NULL, 'issued', due, of_source, of_reference, place,
            new_id, award.rule_id, award.id, of_actor, '', '', occurred, at, NULL, NULL)::points_posting]) p;
        usage_rules := usage_rules || award.rule_id;
        usage_days := usage_days || (award.occurred_at AT TIME ZONE zone)::date;
        usage_points := usage_points || -coalesce(posted.points, 0); -- what a clamp let go stays given
    END LOOP;
    IF cardinality(usage_rules) > 0 THEN
        PERFORM points_count_usage(array_fill(of_member, ARRAY[cardinality(usage_rules)]), usage_rules, usage_days, usage_points);
    END IF;
    result.status := 'accepted'; result.event_id := new_id;
    RETURN result;
END $$;
