-- Who owns the functions that write, and under which settings they run. Run again after each time they are replaced:
-- a replaced function keeps its owner and its grants, but not its settings.

ALTER FUNCTION points_post(points_posting[], boolean) OWNER TO laurel_ledger;
ALTER FUNCTION points_award(jsonb, text, text, timestamptz, text, boolean) OWNER TO laurel_ledger;
ALTER FUNCTION points_refund(bigint, bigint, bigint, jsonb, text, text, bytea, timestamptz, text, timestamptz, text, timestamptz, text) OWNER TO laurel_ledger;
ALTER FUNCTION points_claim(text, text, text, bigint, bytea, bigint) OWNER TO laurel_ledger;
ALTER FUNCTION points_open_balances() OWNER TO laurel_ledger;
ALTER FUNCTION points_open_budget() OWNER TO laurel_ledger;
DO $$
DECLARE
    signature text;
    grantee text;
    signatures text[] := ARRAY[
        'points_post(points_posting[], boolean)', 'points_award(jsonb, text, text, timestamptz, text, boolean)',
        'points_refund(bigint, bigint, bigint, jsonb, text, text, bytea, timestamptz, text, timestamptz, text, timestamptz, text)',
        'points_claim(text, text, text, bigint, bytea, bigint)', 'points_open_balances()', 'points_open_budget()'
    ];
BEGIN
    -- A function with its owner's rights looks nothing up where others can write.
    FOREACH signature IN ARRAY signatures LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', signature, current_schema());
        -- Every look-up here is by key. A plan made while the tables were empty would scan them, and a session keeps its plans.
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', signature);
        EXECUTE format('ALTER FUNCTION %s SET jit = off', signature);
        -- One plan a session: an array of one fact looks cheaper than the array it was planned for, for ever, and would be
        -- planned anew with each event.
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', signature);
        -- A role that may only read must not write through them.
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', signature, session_user);
    END LOOP;
    -- Whom an administrator lets award may do the rest: a function with other arguments than before is a new one, and
    -- without the grants of the old.
    FOR grantee IN
        SELECT DISTINCT a.grantee::regrole::text FROM pg_proc p, aclexplode(p.proacl) AS a
        WHERE p.oid = 'points_award(jsonb, text, text, timestamptz, text, boolean)'::regprocedure
            AND a.privilege_type = 'EXECUTE' AND a.grantee NOT IN (0, p.proowner)
    LOOP
        FOREACH signature IN ARRAY signatures LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', signature, grantee);
        END LOOP;
    END LOOP;
END $$;
