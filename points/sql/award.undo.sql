DROP FUNCTION points_explain(bigint, bigint, text), points_stored_facts(bigint, bigint, bigint, text),
    points_preview(jsonb, text, text, bigint[]), points_invited(text[]), points_award(jsonb, text, text, timestamptz, text, boolean),
    points_count_usage(bigint[], bigint[], date[], bigint[]), points_claim(text, text, text, bigint, bytea, bigint),
    points_mark_first(points_fact[]), points_read_facts(jsonb, boolean);
