DROP FUNCTION points_sweep(text, bigint[], bigint[], date, timestamptz, text, timestamptz);
