DROP FUNCTION points_evaluate(points_fact[], text, text, bigint[]), points_round(numeric, text), points_condition(text, boolean, jsonb, jsonb, boolean),
    points_used(text, bigint, bigint, text, date, text, bigint), points_expires_at(text, int, date, timestamptz, text);
DROP AGGREGATE points_trim(bigint, date, bigint[], bigint[]);
DROP FUNCTION points_cap_step(bigint[], bigint, date, bigint[], bigint[]);
