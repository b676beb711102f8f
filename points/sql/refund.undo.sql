DROP FUNCTION points_refund(bigint, bigint, bigint, jsonb, text, text, bytea, timestamptz, text, timestamptz, text, timestamptz),
    points_refund_share(text, text[], jsonb, bigint, bigint, jsonb);
DROP TYPE points_refunded;
