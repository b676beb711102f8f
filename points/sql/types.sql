-- What goes in and out of the functions. A type is never replaced, a function may be.

CREATE TYPE points_posting AS (
    member_id bigint,
    point_type_id bigint,
    kind text,
    from_account text,        -- null for a clawback: pending, then available, then owed
    to_account text,
    points bigint,            -- null for a sweep: whatever is due
    source text,
    reference text,
    line bigint,
    event_id bigint,
    rule_id bigint,
    corrects bigint,          -- the entry undone or continued
    actor text,
    reason text,
    note text,
    occurred_at timestamptz,
    recorded_at timestamptz,
    available_at timestamptz, -- an opened lot: when it matures; a maturity sweep: lots due by then
    expires_at timestamptz    -- an opened lot: its end; an expiry sweep: lots ended by then; a return: the least end
);

CREATE TYPE points_posted AS (
    ord int,
    status text,              -- posted, replayed, refused
    code text,                -- why refused
    entry_id bigint,          -- of several entries (a clawback) the first
    points bigint,            -- moved; for insufficient_points what was there
    available bigint          -- after it
);

CREATE TYPE points_fact AS (
    ord int,
    event_id bigint,
    member_id bigint,
    type text,
    occurred_at timestamptz,
    amount_minor bigint,
    gross_minor bigint,
    currency text,
    channel text,
    store text,
    attributes jsonb,
    items jsonb,
    tier text,
    labels text[],
    birth_month int,
    is_first boolean,
    reference text,
    digest bytea,
    refusal text              -- why it cannot be taken, as far as the reading tells
);

CREATE TYPE points_verdict AS (
    ord int,
    rule_id bigint,
    point_type_id bigint,
    matched boolean,
    rounded bigint,           -- by the arithmetic alone
    stands boolean,           -- not beaten in its stacking group
    points bigint,            -- after caps: what is awarded
    occurs_on date,           -- the local day, for the caps
    matures_at timestamptz,   -- null: available at once
    expires_at timestamptz,   -- null: never
    conditions jsonb,
    arithmetic jsonb,
    limits jsonb
);

CREATE TYPE points_awarded AS (
    ord int,
    status text,              -- accepted, replayed, rejected
    code text,
    event_id bigint,
    awards jsonb              -- [{type, rule, points, entry, pending, expires_at}]
);

CREATE TYPE points_refunded AS (status text, code text, event_id bigint, amount_minor bigint, refunded_before bigint);
