DROP FUNCTION points_refund(bigint, bigint, bigint, jsonb, text, text, bytea, timestamptz, text, timestamptz, text, timestamptz, text),
    points_refund_share(text, text[], jsonb, bigint, bigint, jsonb),
    points_is_refunded(bigint, bigint);
