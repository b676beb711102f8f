-- The one way to decide points: rules are rows, evaluation is a join.
--
-- points_evaluate(facts, zone, mode) joins business facts with the rules in force at `occurred_at`, one column predicate
-- a condition, computes each award, lets the best of a stacking group win, multiplies base points, and trims to the caps
-- of the member and the budget of the rule in event order. It writes nothing.
--
--   mode 'award'     rules in force, caps counted so far (points_ruleusage, points_rulebudget); only what is awarded
--   mode 'preview'   the same with every rule, its verdicts and its arithmetic
--   mode 'explain'   as preview, for a stored event: caps as they stood before it
--   mode 'backtest'  the named rules only, whatever their status, caps counted within the facts alone; multipliers
--                    named without base rules multiply the base points of the rules in force
--
-- Days, weeks (from Monday) and months are those of `zone`, the programme's.

-- The first moment points earned at `earned_at` are gone: a local midnight, or null for never.
CREATE OR REPLACE FUNCTION points_expires_at(policy text, n int, fixed date, earned_at timestamptz, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (CASE policy
        WHEN 'days' THEN date_trunc('day', earned_at AT TIME ZONE zone) + make_interval(days => n + 1)
        WHEN 'months_end' THEN date_trunc('month', earned_at AT TIME ZONE zone) + make_interval(months => n + 1)
        WHEN 'fixed_date' THEN (fixed + 1)::timestamp
        WHEN 'year_end' THEN date_trunc('year', earned_at AT TIME ZONE zone) + make_interval(years => n + 1)
    END) AT TIME ZONE zone
$$;

-- One step of trimming one rule's awards to one member, in event order. The state holds what each current period has
-- used and, last, what this event was given: {day, used, week, used, month, used, lifetime used, given}. Days count from 2000.
CREATE OR REPLACE FUNCTION points_cap_step(
    state bigint[], wanted bigint, on_day date, caps bigint[], used_before bigint[]
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    day bigint := on_day - date '2000-01-01';
    week bigint := date_trunc('week', on_day)::date - date '2000-01-01';
    month bigint := date_trunc('month', on_day)::date - date '2000-01-01';
    given bigint;
BEGIN
    IF state IS NULL THEN
        state := ARRAY[NULL, 0, NULL, 0, NULL, 0, used_before[4], 0]::bigint[];
    END IF;
    IF state[1] IS DISTINCT FROM day THEN state[1] := day; state[2] := used_before[1]; END IF;
    IF state[3] IS DISTINCT FROM week THEN state[3] := week; state[4] := used_before[2]; END IF;
    IF state[5] IS DISTINCT FROM month THEN state[5] := month; state[6] := used_before[3]; END IF;
    given := greatest(0, least(wanted, caps[1] - state[2], caps[2] - state[4], caps[3] - state[6], caps[4] - state[7]));
    state[2] := state[2] + given; state[4] := state[4] + given; state[6] := state[6] + given; state[7] := state[7] + given;
    state[8] := given;
    RETURN state;
END $$;

CREATE OR REPLACE AGGREGATE points_trim(bigint, date, bigint[], bigint[]) (SFUNC = points_cap_step, STYPE = bigint[]);

-- What a rule had given a member in a period: as counted (award, preview), or as it stood before an event (explain).
CREATE OR REPLACE FUNCTION points_used(
    mode text, of_rule bigint, of_member bigint, of_period text, starts date, zone text, before_event bigint
) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    used bigint;
    before_seq bigint;
    told_at timestamptz;
BEGIN
    IF mode = 'backtest' THEN
        RETURN 0;
    ELSIF mode <> 'explain' THEN
        SELECT u.points INTO used FROM points_ruleusage u
        WHERE u.member_id = of_member AND u.rule_id = of_rule AND u.period = of_period AND u.starts_on = starts;
    ELSE
        -- Before it in the books: of two events at once the one with the smaller id may have been the second. Within
        -- one list, whose entries share their moment, and for an event that left no entry, the ids tell.
        SELECT min(e.seq), v.recorded_at INTO before_seq, told_at
        FROM points_event v LEFT JOIN points_entry e ON e.member_id = v.member_id AND e.source = v.source
            AND e.kind = 'accrual' AND e.reference = v.reference
        WHERE v.member_id = of_member AND v.id = before_event GROUP BY v.recorded_at;
        SELECT sum(e.points - coalesce((
            SELECT sum(c.points) FROM points_entry c
            WHERE c.member_id = of_member AND c.corrects = e.id AND c.kind = 'clawback'
                AND CASE WHEN before_seq IS NULL OR c.recorded_at = told_at THEN c.event_id < before_event ELSE c.seq < before_seq END), 0))
        INTO used
        FROM points_entry e
        WHERE e.member_id = of_member AND e.kind = 'accrual' AND e.rule_id = of_rule
            AND CASE WHEN before_seq IS NULL OR e.recorded_at = told_at THEN e.event_id < before_event ELSE e.seq < before_seq END
            AND (of_period = 'lifetime' OR date_trunc(of_period, e.occurred_at AT TIME ZONE zone)::date = starts);
    END IF;
    RETURN coalesce(used, 0);
END $$;

-- One condition's verdict; null when the rule does not ask.
CREATE OR REPLACE FUNCTION points_condition(name text, asked boolean, expected jsonb, actual jsonb, holds boolean) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN asked THEN jsonb_build_object('condition', name, 'expected', expected, 'actual', actual, 'holds', holds) END
$$;

-- Whole points of an exact number, the way the rule rounds; never more than one posting can move, so that a rule gone
-- mad gives too much to one event instead of stopping all that come with it.
CREATE OR REPLACE FUNCTION points_round(exact numeric, rounding text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least(CASE rounding WHEN 'floor' THEN floor(exact) WHEN 'ceil' THEN ceil(exact) ELSE round(exact) END, 1000000000000)::bigint
$$;

CREATE OR REPLACE FUNCTION points_evaluate(facts points_fact[], zone text, mode text, only_rules bigint[] DEFAULT NULL)
RETURNS SETOF points_verdict LANGUAGE plpgsql STABLE
-- The rules are few and the facts come as an array: one plan fits all, and planning costs more than one event's work.
SET plan_cache_mode = 'force_generic_plan' SET work_mem = '32MB' AS $$
DECLARE
    told boolean := mode <> 'award';
    -- A draft that only multiplies is tried on the base points in force, which are not told of.
    on_base boolean := mode = 'backtest'
        AND EXISTS (SELECT FROM points_earningrule r WHERE r.id = ANY (only_rules) AND r.award_kind = 'multiplier')
        AND NOT EXISTS (SELECT FROM points_earningrule r WHERE r.id = ANY (only_rules) AND r.is_base);
BEGIN
    -- Facts times rules is the widest this gets: what is not asked to explain itself drops out at its first condition
    -- that fails, and only what decides is carried along; the rule's other columns are fetched again at the end.
    RETURN QUERY
    WITH judged AS (
        -- Every fact beside every rule in force, one boolean a condition.
        SELECT f.ord, f.event_id, f.member_id, f.occurred_at, f.tier, l.local_at, r.id, r.point_type_id, r.award_kind = 'multiplier' AS multiplies,
            r.award_kind = 'fixed' AS is_fixed, r.is_base, r.points, r.per_minor, r.rounding, r.priority, r.stacking_group,
            num_nonnulls(r.cap_day, r.cap_week, r.cap_month, r.cap_lifetime, r.budget) > 0 AS limited,
            coalesce((r.tier_multipliers ->> f.tier)::numeric, 1) AS tier_factor,
            CASE
                WHEN r.amount_basis = 'gross' THEN coalesce(f.gross_minor, f.amount_minor)
                WHEN r.amount_basis = 'net' THEN f.amount_minor
                WHEN f.items IS NOT NULL THEN (
                    SELECT sum((item ->> 'amount_minor')::bigint) FROM jsonb_array_elements(f.items) AS item
                    WHERE cardinality(r.categories) = 0 OR item ->> 'category' = ANY (r.categories))::bigint
            END AS basis_minor,
            NOT told OR c.fits AS fits,
            CASE WHEN told THEN jsonb_path_query_array(jsonb_build_array(
                points_condition('event_type', cardinality(r.event_types) > 0, to_jsonb(r.event_types), to_jsonb(f.type), o.ok_type),
                points_condition('currency', r.currency <> '', to_jsonb(r.currency), to_jsonb(f.currency), o.ok_currency),
                points_condition('amount_from', r.amount_from_minor IS NOT NULL, to_jsonb(r.amount_from_minor), to_jsonb(f.amount_minor), o.ok_from),
                points_condition('amount_below', r.amount_below_minor IS NOT NULL, to_jsonb(r.amount_below_minor), to_jsonb(f.amount_minor), o.ok_below),
                points_condition('channel', cardinality(r.channels) > 0, to_jsonb(r.channels), to_jsonb(f.channel), o.ok_channel),
                points_condition('store', cardinality(r.stores) > 0, to_jsonb(r.stores), to_jsonb(f.store), o.ok_store),
                points_condition('category', cardinality(r.categories) > 0, to_jsonb(r.categories),
                    (SELECT jsonb_agg(DISTINCT item -> 'category') FROM jsonb_array_elements(f.items) AS item), o.ok_category),
                points_condition('tier', cardinality(r.tiers) > 0, to_jsonb(r.tiers), to_jsonb(f.tier), o.ok_tier),
                points_condition('segment', cardinality(r.segments) > 0, to_jsonb(r.segments), to_jsonb(f.labels), o.ok_segment),
                points_condition('weekday', cardinality(r.weekdays) > 0, to_jsonb(r.weekdays), to_jsonb(extract(isodow FROM l.local_at)::int), o.ok_weekday),
                points_condition('hour', r.hour_from IS NOT NULL OR r.hour_below IS NOT NULL, jsonb_build_array(r.hour_from, r.hour_below),
                    to_jsonb(extract(hour FROM l.local_at)::int), o.ok_hour),
                points_condition('first_ever', r.first_ever, 'true', to_jsonb(f.is_first), o.ok_first),
                points_condition('birthday_month', r.birthday_month, to_jsonb(extract(month FROM l.local_at)::int), to_jsonb(f.birth_month), o.ok_birthday),
                points_condition('attributes_contain', r.attributes_contain IS NOT NULL, r.attributes_contain, f.attributes, o.ok_contain),
                points_condition('attributes_path', r.attributes_path <> '', to_jsonb(r.attributes_path), f.attributes, o.ok_path)
            ), '$[*] ? (@ != null)') END AS conditions
        FROM unnest(facts) AS f
        CROSS JOIN LATERAL (SELECT f.occurred_at AT TIME ZONE zone AS local_at) l
        JOIN points_earningrule r ON CASE
            WHEN mode = 'backtest' THEN r.id = ANY (only_rules) OR (on_base AND r.is_base AND r.status IN ('active', 'retired'))
            ELSE r.status IN ('active', 'retired')
        END AND f.occurred_at >= r.valid_from AND (r.valid_until IS NULL OR f.occurred_at < r.valid_until)
        CROSS JOIN LATERAL (SELECT
            (cardinality(r.event_types) = 0 OR f.type = ANY (r.event_types)) AS ok_type,
            (r.currency = '' OR r.currency = f.currency) AS ok_currency,
            (r.amount_from_minor IS NULL OR coalesce(f.amount_minor >= r.amount_from_minor, false)) AS ok_from,
            (r.amount_below_minor IS NULL OR coalesce(f.amount_minor < r.amount_below_minor, false)) AS ok_below,
            (cardinality(r.channels) = 0 OR f.channel = ANY (r.channels)) AS ok_channel,
            (cardinality(r.stores) = 0 OR f.store = ANY (r.stores)) AS ok_store,
            (cardinality(r.categories) = 0 OR (f.items IS NOT NULL AND EXISTS (
                SELECT FROM jsonb_array_elements(f.items) AS item WHERE item ->> 'category' = ANY (r.categories)))) AS ok_category,
            (cardinality(r.tiers) = 0 OR coalesce(f.tier = ANY (r.tiers), false)) AS ok_tier,
            (cardinality(r.segments) = 0 OR coalesce(f.labels && r.segments::text[], false)) AS ok_segment,
            (cardinality(r.weekdays) = 0 OR extract(isodow FROM l.local_at)::smallint = ANY (r.weekdays)) AS ok_weekday,
            CASE
                WHEN r.hour_from IS NULL AND r.hour_below IS NULL THEN true
                WHEN coalesce(r.hour_from, 0) < coalesce(r.hour_below, 24) THEN
                    extract(hour FROM l.local_at) >= coalesce(r.hour_from, 0) AND extract(hour FROM l.local_at) < coalesce(r.hour_below, 24)
                ELSE extract(hour FROM l.local_at) >= r.hour_from OR extract(hour FROM l.local_at) < r.hour_below -- over midnight
            END AS ok_hour,
            (NOT r.first_ever OR f.is_first) AS ok_first,
            (NOT r.birthday_month OR coalesce(f.birth_month = extract(month FROM l.local_at), false)) AS ok_birthday,
            (r.attributes_contain IS NULL OR coalesce(f.attributes @> r.attributes_contain, false)) AS ok_contain,
            CASE WHEN r.attributes_path = '' THEN true ELSE coalesce(
                -- With time zones, and silent about what the attributes lack: one event must not stop a batch.
                jsonb_path_match_tz(f.attributes, r.attributes_path::jsonpath, '{}', true), false) END AS ok_path
        ) o
        CROSS JOIN LATERAL (SELECT
            ok_type AND ok_channel AND ok_store AND ok_currency AND ok_from AND ok_below AND ok_tier AND ok_segment AND ok_weekday
                AND ok_hour AND ok_first AND ok_birthday AND ok_category AND ok_contain AND ok_path AS fits) c
        WHERE told OR c.fits
        OFFSET 0
    ), firsts AS (
        -- Rates and fixed points, before campaigns multiply them. Multiply first, divide last: the quotient is exact or floored once.
        SELECT j.*, CASE WHEN NOT fits OR multiplies THEN 0
                 WHEN is_fixed THEN j.points * tier_factor
                 ELSE coalesce(basis_minor, 0) * j.points * tier_factor / per_minor END AS raw
        FROM judged j OFFSET 0
    ), rounded_firsts AS (
        SELECT f.*, points_round(f.raw, f.rounding) AS first_points FROM firsts f OFFSET 0 -- each computed once
    ), stacked AS (
        SELECT f.*,
            f.stacking_group = '' OR row_number() OVER (
                PARTITION BY f.ord, f.point_type_id, f.stacking_group, f.multiplies
                ORDER BY f.fits DESC, CASE WHEN f.multiplies THEN f.points ELSE f.first_points END DESC, f.priority DESC, f.id
            ) = 1 AS best
        FROM rounded_firsts f
    ), based AS (
        SELECT s.*, coalesce(sum(s.first_points) FILTER (WHERE s.is_base AND s.best) OVER (PARTITION BY s.ord, s.point_type_id), 0) AS base_points
        FROM stacked s
    ), computed AS (
        SELECT b.*, CASE WHEN b.multiplies AND b.fits
            THEN greatest(0, b.base_points * (b.points * b.tier_factor - 1)) ELSE b.raw END AS exact
        FROM based b
    ), wanted AS (
        SELECT c.*, points_round(c.exact, c.rounding) AS wanted FROM computed c OFFSET 0
    ), asked AS MATERIALIZED (
        SELECT w.ord, w.event_id, w.member_id, w.occurred_at, w.local_at, w.tier, w.id, w.tier_factor, w.basis_minor, w.conditions,
            w.fits, w.best, w.base_points, w.exact, w.wanted, CASE WHEN w.fits AND w.best THEN w.wanted ELSE 0 END AS asked, w.limited
        FROM wanted w
        WHERE told OR (w.best AND w.wanted > 0)
    ), counted AS (
        SELECT a.*, a.local_at::date AS occurs_on, r.budget, r.cap_day, r.cap_week, r.cap_month, r.cap_lifetime,
            num_nonnulls(r.cap_day, r.cap_week, r.cap_month, r.cap_lifetime) > 0 AS capped
        FROM asked a JOIN points_earningrule r ON r.id = a.id
        WHERE a.limited
    ), trimmed AS (
        SELECT c.*, points_trim(c.asked, c.occurs_on, ARRAY[c.cap_day, c.cap_week, c.cap_month, c.cap_lifetime], ARRAY[
                CASE WHEN c.cap_day IS NULL THEN 0 ELSE points_used(mode, c.id, c.member_id, 'day', c.occurs_on, zone, c.event_id) END,
                CASE WHEN c.cap_week IS NULL THEN 0 ELSE points_used(mode, c.id, c.member_id, 'week', date_trunc('week', c.occurs_on)::date, zone, c.event_id) END,
                CASE WHEN c.cap_month IS NULL THEN 0 ELSE points_used(mode, c.id, c.member_id, 'month', date_trunc('month', c.occurs_on)::date, zone, c.event_id) END,
                CASE WHEN c.cap_lifetime IS NULL THEN 0 ELSE points_used(mode, c.id, c.member_id, 'lifetime', '0001-01-01', zone, c.event_id) END
            ]) FILTER (WHERE c.capped) OVER (PARTITION BY c.id, c.member_id ORDER BY c.occurred_at, c.ord ROWS UNBOUNDED PRECEDING) AS cap_state
        FROM counted c
    ), within_caps AS (
        SELECT t.*, CASE WHEN t.capped THEN t.cap_state[8] ELSE t.asked END AS capped_points,
            CASE WHEN t.budget IS NULL THEN NULL ELSE t.budget - CASE
                WHEN mode = 'backtest' THEN 0
                WHEN mode = 'explain' THEN coalesce((SELECT sum(e.points) FROM points_entry e WHERE e.rule_id = t.id AND e.kind = 'accrual' AND e.event_id < t.event_id), 0)
                    - coalesce((SELECT sum(e.points) FROM points_entry e WHERE e.rule_id = t.id AND e.kind = 'clawback' AND e.event_id < t.event_id), 0)
                ELSE coalesce((SELECT g.used FROM points_rulebudget g WHERE g.rule_id = t.id), 0)
            END END AS budget_counted
        FROM trimmed t
    ), budgeted AS (
        -- Events that meet at a budget have their ids before they have its lock. So of a stored event that was given less
        -- than its caps allow the books say what was left of the budget, and not the ids.
        SELECT w.*, CASE WHEN e.stood < w.capped_points THEN e.stood ELSE greatest(e.stood, w.budget_counted) END AS budget_left
        FROM within_caps w LEFT JOIN LATERAL (
            SELECT coalesce(sum(e.points), 0)::bigint AS stood
            FROM points_event v JOIN points_entry e ON e.member_id = v.member_id AND e.source = v.source
                AND e.kind = 'accrual' AND e.reference = v.reference AND e.rule_id = w.id
            WHERE v.member_id = w.member_id AND v.id = w.event_id
        ) e ON mode = 'explain' AND w.budget IS NOT NULL
    ), finished AS (
        SELECT w.*, CASE WHEN w.budget IS NULL THEN w.capped_points ELSE greatest(0, least(
                w.capped_points,
                w.budget_left - coalesce(sum(w.capped_points) OVER (PARTITION BY w.id ORDER BY w.occurred_at, w.ord ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
            ))::bigint END AS given
        FROM budgeted w
    ), given AS (
        -- Only awards of rules with a cap or a budget were put in order and trimmed; the others get what they ask.
        SELECT ord, id, occurred_at, local_at, tier, tier_factor, basis_minor, conditions, fits, best, base_points, exact, wanted, asked,
            asked AS given, NULL::bigint[] AS cap_state, NULL::bigint AS budget_left
        FROM asked WHERE NOT limited
        UNION ALL
        SELECT ord, id, occurred_at, local_at, tier, tier_factor, basis_minor, conditions, fits, best, base_points, exact, wanted, asked,
            given, cap_state, budget_left
        FROM finished
    )
    SELECT a.ord, a.id, r.point_type_id, a.fits, a.wanted, a.best, a.given, a.local_at::date,
        CASE WHEN r.pending_days > 0 THEN (date_trunc('day', a.local_at) + make_interval(days => r.pending_days)) AT TIME ZONE zone END,
        CASE WHEN r.expiry_policy <> '' THEN points_expires_at(r.expiry_policy, r.expiry_value, r.expiry_on, a.occurred_at, zone)
             ELSE points_expires_at(t.expiry_policy, t.expiry_value, t.expiry_on, a.occurred_at, zone) END,
        a.conditions,
        CASE WHEN told THEN jsonb_build_object(
            'award', r.award_kind, 'points', r.points, 'per_minor', r.per_minor, 'basis', r.amount_basis,
            'basis_minor', a.basis_minor, 'tier', a.tier, 'tier_multiplier', a.tier_factor, 'base_points', a.base_points,
            'exact', a.exact, 'rounding', r.rounding, 'rounded', a.wanted, 'stacking_group', r.stacking_group, 'best_of_group', a.best) END,
        CASE WHEN told THEN jsonb_strip_nulls(jsonb_build_object(
            'day', CASE WHEN r.cap_day IS NOT NULL THEN jsonb_build_object('limit', r.cap_day, 'used', a.cap_state[2] - a.cap_state[8]) END,
            'week', CASE WHEN r.cap_week IS NOT NULL THEN jsonb_build_object('limit', r.cap_week, 'used', a.cap_state[4] - a.cap_state[8]) END,
            'month', CASE WHEN r.cap_month IS NOT NULL THEN jsonb_build_object('limit', r.cap_month, 'used', a.cap_state[6] - a.cap_state[8]) END,
            'lifetime', CASE WHEN r.cap_lifetime IS NOT NULL THEN jsonb_build_object('limit', r.cap_lifetime, 'used', a.cap_state[7] - a.cap_state[8]) END,
            'budget', CASE WHEN r.budget IS NOT NULL THEN jsonb_build_object('limit', r.budget, 'used', r.budget - a.budget_left) END,
            'trimmed', a.asked - a.given)) END
    FROM given a
    -- By key, an award at a time: the generic plan takes the awards for two and would walk all of them for each rule.
    JOIN LATERAL (SELECT * FROM points_earningrule r WHERE r.id = a.id OFFSET 0) r ON true
    JOIN LATERAL (SELECT * FROM points_pointtype t WHERE t.id = r.point_type_id OFFSET 0) t ON true
    WHERE (told OR a.given > 0) AND (NOT on_base OR a.id = ANY (only_rules))
    ORDER BY a.ord, r.point_type_id, r.is_base DESC, r.priority DESC, a.id;
END $$;
