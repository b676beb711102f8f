-- From business events to points, in one round trip: claim the references, keep the events, let points_evaluate decide,
-- let points_post write. One event and ten thousand take the same road. `told` asks for the awards of each event back.
--
-- events: a JSON array of {reference, member_id | member, type, occurred_at, amount_minor?, gross_minor?, currency?,
-- channel?, store?, attributes?, items?}. Everything has been validated for form; what only the database can know
-- (the member, the reference) is judged here, event by event.

-- Reads JSON events as facts, oldest first: with the tier each member was in when it happened, and with what else the
-- programme knows of the members at this moment.
CREATE OR REPLACE FUNCTION points_read_facts(events jsonb, assign_ids boolean) RETURNS points_fact[] LANGUAGE plpgsql AS $$
DECLARE
    ids regclass := pg_get_serial_sequence('points_event', 'id');
    facts points_fact[];
BEGIN
    SELECT array_agg(ROW(
            e.ord::int, CASE WHEN assign_ids THEN nextval(ids) END, e.member_id, e.body ->> 'type', e.occurred_at,
            (e.body ->> 'amount_minor')::bigint, (e.body ->> 'gross_minor')::bigint, coalesce(e.body ->> 'currency', ''),
            coalesce(e.body ->> 'channel', ''), coalesce(e.body ->> 'store', ''), coalesce(e.body -> 'attributes', '{}'),
            CASE WHEN jsonb_typeof(e.body -> 'items') = 'array' THEN e.body -> 'items' END,
            e.tier, e.labels::text[], e.birth_month, false, e.body ->> 'reference',
            sha256(convert_to((e.body - 'reference')::text, 'UTF8')),
            CASE WHEN e.member_id IS NULL THEN 'unknown_member' WHEN e.status <> 'active' THEN 'member_not_active' END
        )::points_fact)
    INTO facts
    FROM (
        -- Sorted after the joins: ids are drawn in this order, and an explanation counts what came before by id.
        SELECT b.body, b.ord, (b.body ->> 'occurred_at')::timestamptz AS occurred_at,
               m.id AS member_id, m.status, m.labels, m.birth_month, t.code AS tier
        FROM jsonb_array_elements(events) WITH ORDINALITY AS b (body, ord)
        -- One look into an index an event: a plan made while there are few members would hash them all for one event.
        LEFT JOIN LATERAL (
            SELECT k.member_id FROM members_memberkey k
            WHERE b.body ? 'member' AND k.kind = 'number' AND k.scope = '' AND k.key = b.body ->> 'member' LIMIT 1) k ON true
        LEFT JOIN LATERAL (
            SELECT m.id, m.status, m.labels, m.birth_month, m.tier_id FROM members_member m
            WHERE m.id = coalesce((b.body ->> 'member_id')::bigint, k.member_id) LIMIT 1) m ON true
        -- Of the changes that hold by then the one told last, else the member's first tier.
        LEFT JOIN LATERAL (
            SELECT coalesce(
                (SELECT c.tier_id FROM members_tierchange c
                 WHERE c.member_id = m.id AND c.since <= (b.body ->> 'occurred_at')::timestamptz ORDER BY c.id DESC LIMIT 1),
                (SELECT c.tier_id FROM members_tierchange c WHERE c.member_id = m.id ORDER BY c.id LIMIT 1),
                m.tier_id) AS tier_id) h ON true
        LEFT JOIN members_tier t ON t.id = h.tier_id
        ORDER BY 3, 2
    ) e;
    RETURN facts;
END $$;

-- Marks each fact that is the first of its type for its member, counting the facts beside it.
CREATE OR REPLACE FUNCTION points_mark_first(facts points_fact[]) RETURNS points_fact[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN array_agg(ROW(
            f.ord, f.event_id, f.member_id, f.type, f.occurred_at, f.amount_minor, f.gross_minor, f.currency, f.channel,
            f.store, f.attributes, f.items, f.tier, f.labels, f.birth_month,
            f.place = 1 AND NOT EXISTS (SELECT FROM points_event e WHERE e.member_id = f.member_id AND e.type = f.type),
            f.reference, f.digest, f.refusal
        )::points_fact)
    FROM (
        SELECT u.*, row_number() OVER (PARTITION BY u.member_id, u.type ORDER BY u.occurred_at, u.ord) AS place
        FROM unnest(facts) AS u
    ) f;
END $$;

-- Takes (source, operation, reference) for ever. Returns the target that holds it: ours if it was free, the first
-- writer's if the content is the same, and null on a conflict.
CREATE OR REPLACE FUNCTION points_claim(
    of_source text, of_operation text, of_reference text, of_member bigint, of_digest bytea, of_target bigint
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    holder bigint;
BEGIN
    INSERT INTO points_reference (source, operation, reference, member_id, digest, target)
    VALUES (of_source, of_operation, of_reference, of_member, of_digest, of_target)
    ON CONFLICT (source, operation, reference) DO NOTHING;
    SELECT CASE WHEN r.digest = of_digest THEN r.target END INTO holder
    FROM points_reference r WHERE r.source = of_source AND r.operation = of_operation AND r.reference = of_reference;
    RETURN holder;
END $$;

-- Counts awards against the caps and budgets of their rules. Takes back what a clawback undid when negative.
CREATE OR REPLACE FUNCTION points_count_usage(members bigint[], rules bigint[], days date[], amounts bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH counts AS MATERIALIZED (
        SELECT a.member_id, a.rule_id, p.period, p.starts_on, sum(a.points)::bigint AS points
        FROM unnest(members, rules, days, amounts) AS a (member_id, rule_id, day, points)
        JOIN points_earningrule r ON r.id = a.rule_id
        CROSS JOIN LATERAL (VALUES
            ('day', a.day, r.cap_day), ('week', date_trunc('week', a.day)::date, r.cap_week),
            ('month', date_trunc('month', a.day)::date, r.cap_month), ('lifetime', date '0001-01-01', r.cap_lifetime)
        ) AS p (period, starts_on, cap)
        WHERE p.cap IS NOT NULL
        GROUP BY 1, 2, 3, 4
    ), taken_back AS (
        UPDATE points_ruleusage u SET points = greatest(0, u.points + c.points)
        FROM counts c
        WHERE c.points < 0 AND u.member_id = c.member_id AND u.rule_id = c.rule_id AND u.period = c.period AND u.starts_on = c.starts_on
    )
    INSERT INTO points_ruleusage AS u (member_id, rule_id, period, starts_on, points)
    SELECT member_id, rule_id, period, starts_on, points FROM counts WHERE points > 0 ORDER BY 1, 2, 3, 4
    ON CONFLICT (member_id, rule_id, period, starts_on) DO UPDATE SET points = u.points + excluded.points;

    -- Budgets in one order by everybody: a refund that met an award half way would lock them crosswise.
    PERFORM FROM points_rulebudget b WHERE b.rule_id = ANY (rules) ORDER BY b.rule_id FOR UPDATE;
    UPDATE points_rulebudget b SET used = greatest(0, b.used + s.points)
    FROM (SELECT a.rule_id, sum(a.points)::bigint AS points FROM unnest(rules, amounts) AS a (rule_id, points) GROUP BY 1) s
    WHERE b.rule_id = s.rule_id;
END $$;

CREATE OR REPLACE FUNCTION points_award(events jsonb, of_source text, of_actor text, at timestamptz, zone text, told boolean DEFAULT true)
RETURNS SETOF points_awarded LANGUAGE plpgsql SECURITY DEFINER
-- Ten thousand events and what comes of them stay in memory.
SET work_mem = '64MB' AS $$
DECLARE
    facts points_fact[] := points_read_facts(events, true);
    outcomes points_awarded[];
    accepted points_fact[];
    verdicts points_verdict[];
    postings points_posting[];
    posted points_posted[] := '{}';
    limited bigint[];
    refused text;
BEGIN
    -- References first, in their order, so that two batches that share some wait for each other and never deadlock.
    INSERT INTO points_reference (source, operation, reference, member_id, digest, target)
    SELECT DISTINCT ON (f.reference) of_source, 'event', f.reference, f.member_id, f.digest, f.event_id
    FROM unnest(facts) AS f WHERE f.refusal IS NULL
    ORDER BY f.reference, f.ord
    ON CONFLICT (source, operation, reference) DO NOTHING;

    -- Whose is each reference now: ours, an earlier event of the same content, or somebody else's?
    SELECT array_agg(ROW(
            f.ord,
            CASE WHEN r.target = f.event_id THEN 'accepted' WHEN r.digest = f.digest THEN 'replayed' ELSE 'rejected' END,
            CASE WHEN r.target IS NULL THEN f.refusal
                 WHEN r.target <> f.event_id AND r.digest <> f.digest THEN 'reference_conflict' END,
            r.target, NULL)::points_awarded),
        array_agg(f) FILTER (WHERE r.target = f.event_id)
    INTO outcomes, accepted
    FROM unnest(facts) AS f
    -- One look into the index a reference, however many there are by now.
    LEFT JOIN LATERAL (
        SELECT r.target, r.digest FROM points_reference r
        WHERE r.source = of_source AND r.operation = 'event' AND r.reference = f.reference LIMIT 1) r ON true;

    IF accepted IS NOT NULL THEN
        PERFORM points_lock((SELECT array_agg(DISTINCT f.member_id) FROM unnest(accepted) AS f));
        accepted := points_mark_first(accepted);

        INSERT INTO points_event (
            id, member_id, type, occurred_at, recorded_at, amount_minor, gross_minor, currency, channel, store, attributes,
            items, source, reference, tier, labels, is_first, is_birthday)
        OVERRIDING SYSTEM VALUE
        SELECT f.event_id, f.member_id, f.type, f.occurred_at, at, f.amount_minor, f.gross_minor, f.currency, f.channel,
               f.store, f.attributes, f.items, of_source, f.reference, f.tier, to_jsonb(f.labels), f.is_first,
               coalesce(f.birth_month = extract(month FROM f.occurred_at AT TIME ZONE zone), false)
        FROM unnest(accepted) AS f;

        -- The one row that members share, locked last before the decision that reads it, and only when these facts
        -- may draw on it.
        PERFORM FROM points_rulebudget g JOIN points_earningrule r ON r.id = g.rule_id
        WHERE r.status IN ('active', 'retired') AND EXISTS (
            SELECT FROM unnest(accepted) AS f
            WHERE (cardinality(r.event_types) = 0 OR f.type = ANY (r.event_types))
                AND (cardinality(r.channels) = 0 OR f.channel = ANY (r.channels))
                AND (cardinality(r.stores) = 0 OR f.store = ANY (r.stores))
                AND f.occurred_at >= r.valid_from AND (r.valid_until IS NULL OR f.occurred_at < r.valid_until))
        ORDER BY g.rule_id FOR UPDATE OF g;

        verdicts := ARRAY(SELECT v FROM points_evaluate(accepted, zone, 'award') v);
    END IF;

    IF verdicts <> '{}' THEN
        limited := ARRAY(
            SELECT r.id FROM points_earningrule r
            WHERE num_nonnulls(r.cap_day, r.cap_week, r.cap_month, r.cap_lifetime, r.budget) > 0
                AND r.id IN (SELECT v.rule_id FROM unnest(verdicts) AS v));
        IF limited <> '{}' THEN
            PERFORM points_count_usage(
                array_agg(f.member_id), array_agg(v.rule_id), array_agg(v.occurs_on), array_agg(v.points))
            FROM unnest(verdicts) AS v JOIN unnest(accepted) AS f ON f.ord = v.ord
            WHERE v.rule_id = ANY (limited);
        END IF;

        SELECT array_agg(ROW(
                f.member_id, v.point_type_id, 'accrual', 'issued', CASE WHEN v.matures_at > at THEN 'pending' ELSE 'available' END,
                v.points, of_source, f.reference, v.rule_id, f.event_id, v.rule_id, NULL, of_actor, '', '', f.occurred_at, at,
                coalesce(v.matures_at, f.occurred_at), v.expires_at)::points_posting)
        INTO postings
        FROM unnest(verdicts) AS v JOIN unnest(accepted) AS f ON f.ord = v.ord;

        FOR chunk IN 0 .. (cardinality(postings) - 1) / 10000 LOOP
            SELECT posted || array_agg(ROW(p.ord + chunk * 10000, p.status, p.code, p.entry_id, p.points, p.available)::points_posted)
                    FILTER (WHERE told),
                coalesce(refused, min(coalesce(p.code, p.status)) FILTER (WHERE p.status <> 'posted'))
            INTO posted, refused
            FROM points_post_held(postings[chunk * 10000 + 1 : (chunk + 1) * 10000], false) p;
        END LOOP;
        IF refused IS NOT NULL THEN
            RAISE EXCEPTION 'an award was refused: %', refused
                USING ERRCODE = 'serialization_failure', HINT = 'Send the batch again.';
        END IF;
    END IF;

    RETURN QUERY
    SELECT o.ord, o.status, o.code, o.event_id, w.awards
    FROM unnest(outcomes) AS o
    LEFT JOIN (
        SELECT g.event_id, jsonb_agg(jsonb_build_object(
                'type', t.code, 'rule', g.rule_id, 'points', g.points, 'entry', p.entry_id,
                'pending', g.to_account = 'pending', 'expires_at', g.expires_at) ORDER BY p.ord) AS awards
        FROM unnest(CASE WHEN told THEN postings END) WITH ORDINALITY AS g (
            member_id, point_type_id, kind, from_account, to_account, points, source, reference, line, event_id, rule_id,
            corrects, actor, reason, note, occurred_at, recorded_at, available_at, expires_at, n)
        JOIN unnest(posted) AS p ON p.ord = g.n
        JOIN points_pointtype t ON t.id = g.point_type_id
        GROUP BY g.event_id
    ) w ON w.event_id = o.event_id AND o.status = 'accepted'
    ORDER BY o.ord;
END $$;

-- Those of these members, by card number, whose invitation waits for a verdict.
CREATE OR REPLACE FUNCTION points_invited(numbers text[]) RETURNS TABLE (number text, member_id bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = 'force_generic_plan' AS $$
BEGIN
    RETURN QUERY
    SELECT k.key::text, m.id
    FROM members_memberkey k JOIN members_member m ON m.id = k.member_id
    WHERE k.kind = 'number' AND k.key = ANY (numbers) AND k.scope = '' AND m.referred_by_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM points_referral x WHERE x.member_id = m.referred_by_id AND x.friend_id = m.id);
END $$;

-- What events would award, and why: the same reading, the same decision, nothing stored.
CREATE OR REPLACE FUNCTION points_preview(events jsonb, zone text, mode text DEFAULT 'preview', only_rules bigint[] DEFAULT NULL)
RETURNS SETOF points_verdict LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT v.* FROM points_evaluate(points_mark_first(ARRAY(
        SELECT f FROM unnest(points_read_facts(events, false)) AS f WHERE f.refusal IS NULL)), zone, mode, only_rules) v;
END $$;

-- Stored events as the facts the rules saw when they came, whatever the member's tier, segments and birthday are now.
CREATE OR REPLACE FUNCTION points_stored_facts(of_member bigint, from_event bigint, to_event bigint, zone text) RETURNS points_fact[]
LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(ROW(
            e.id - from_event, e.id, e.member_id, e.type, e.occurred_at, e.amount_minor, e.gross_minor, e.currency, e.channel,
            e.store, e.attributes, e.items, e.tier,
            CASE WHEN jsonb_typeof(e.labels) = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(e.labels)) END,
            CASE WHEN e.is_birthday THEN extract(month FROM e.occurred_at AT TIME ZONE zone)::int END, e.is_first,
            e.reference, NULL, NULL)::points_fact ORDER BY e.id), '{}')
    FROM points_event e
    WHERE e.id BETWEEN from_event AND to_event AND (of_member IS NULL OR e.member_id = of_member)
        AND e.type <> 'refund'
$$;

-- Why a stored event gave what it gave: rules of then, member of then, caps as they stood.
CREATE OR REPLACE FUNCTION points_explain(of_member bigint, of_event bigint, zone text) RETURNS SETOF points_verdict
LANGUAGE sql STABLE AS $$
    SELECT * FROM points_evaluate(points_stored_facts(of_member, of_event, of_event, zone), zone, 'explain')
$$;
