DROP FUNCTION IF EXISTS points_draws_held(bigint, bigint), points_left_held(bigint, bigint, bigint);
DROP FUNCTION points_post(points_posting[], boolean), points_post_held(points_posting[], boolean), points_lock(bigint[]), points_post_sweeps(points_posting[]),
    points_post_accruals(points_posting[]), points_post_one(points_posting, int),
    points_write_clawback(points_posting, text), points_settle(points_posting, bigint), points_write_return(points_posting),
    points_write_draws(points_posting, bigint[], bigint[], bigint), points_draw_text(bigint[], bigint[], boolean),
    points_choose_lots(bigint, bigint, timestamptz, bigint), points_write_entry(points_posting, bigint, text),
    points_movement_exists(text, text, text);
DROP AGGREGATE points_chain(bytea, text);
DROP FUNCTION points_chain_step(bytea, bytea, text),
    points_content(bigint, bigint, bigint, text, text, text, bigint, text, text, bigint, bigint, bigint, bigint, text, text,
                   text, timestamptz, timestamptz, bigint, text);
