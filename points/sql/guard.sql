-- Who may write the books. The functions that do belong to a role nobody logs in as; triggers on the tables refuse
-- every other role, the owner of the database and superusers included.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'laurel_ledger') THEN
        CREATE ROLE laurel_ledger NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was faster
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role laurel_ledger is missing and % may not create it', current_user
            USING HINT = 'Let an administrator run: CREATE ROLE laurel_ledger NOLOGIN; GRANT laurel_ledger TO ' || current_user;
END $$;
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'laurel_ledger', 'MEMBER') THEN
        EXECUTE format('GRANT laurel_ledger TO %I', current_user);
    END IF;
END $$;

DO $$
BEGIN
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO laurel_ledger', current_schema());
END $$;
GRANT SELECT, INSERT ON points_entry, points_draw, points_event, points_reference TO laurel_ledger;
GRANT SELECT, INSERT, UPDATE ON points_lot, points_balance, points_ruleusage, points_rulebudget TO laurel_ledger;
GRANT SELECT ON points_pointtype, points_earningrule, points_hold, members_member, members_memberkey, members_tier TO laurel_ledger;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['entry', 'draw', 'event', 'reference', 'lot', 'balance', 'ruleusage'] LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO laurel_ledger', pg_get_serial_sequence('points_' || name, 'id'));
    END LOOP;
END $$;

-- Balance rows are made with the member, and with a new point type for every member: a lock on a row that does not
-- exist locks nothing.
CREATE FUNCTION points_open_balances() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_TABLE_NAME = 'members_member' THEN
        INSERT INTO points_balance (member_id, point_type_id) SELECT NEW.id, t.id FROM points_pointtype t ORDER BY t.id;
    ELSE
        INSERT INTO points_balance (member_id, point_type_id) SELECT m.id, NEW.id FROM members_member m ORDER BY m.id;
    END IF;
    RETURN NULL;
END $$;
-- A member enrolled while a point type is made sees nothing of it, nor it of the member: the type waits for enrolments on
-- their way, and those that come later for it.
CREATE FUNCTION points_wait_for_enrolments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE members_member IN SHARE ROW EXCLUSIVE MODE;
    RETURN NEW;
END $$;
CREATE TRIGGER points_wait_for_enrolments BEFORE INSERT ON points_pointtype
    FOR EACH ROW EXECUTE FUNCTION points_wait_for_enrolments();
CREATE FUNCTION points_open_budget() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO points_rulebudget (rule_id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER points_open_balances AFTER INSERT ON members_member FOR EACH ROW EXECUTE FUNCTION points_open_balances();
CREATE TRIGGER points_open_balances AFTER INSERT ON points_pointtype FOR EACH ROW EXECUTE FUNCTION points_open_balances();
CREATE TRIGGER points_open_budget AFTER INSERT OR UPDATE OF budget ON points_earningrule
    FOR EACH ROW WHEN (NEW.budget IS NOT NULL) EXECUTE FUNCTION points_open_budget();

-- The keys of ledger tables: (id, member_id), so that rows point at each other by the pair and the tables can be
-- distributed by member without a rewrite.
ALTER TABLE points_entry DROP CONSTRAINT points_entry_pkey, ADD PRIMARY KEY (id, member_id);
ALTER TABLE points_lot DROP CONSTRAINT points_lot_pkey, ADD PRIMARY KEY (id, member_id);
ALTER TABLE points_event DROP CONSTRAINT points_event_pkey, ADD PRIMARY KEY (id, member_id);
ALTER TABLE points_entry
    ADD CONSTRAINT entry_balance FOREIGN KEY (member_id, point_type_id) REFERENCES points_balance (member_id, point_type_id),
    ADD CONSTRAINT entry_event FOREIGN KEY (event_id, member_id) REFERENCES points_event (id, member_id),
    ADD CONSTRAINT entry_corrects FOREIGN KEY (corrects, member_id) REFERENCES points_entry (id, member_id);
ALTER TABLE points_event
    ADD CONSTRAINT event_refund_of FOREIGN KEY (refund_of, member_id) REFERENCES points_event (id, member_id);
ALTER TABLE points_lot
    ADD CONSTRAINT lot_entry FOREIGN KEY (entry_id, member_id) REFERENCES points_entry (id, member_id);
ALTER TABLE points_draw
    ADD CONSTRAINT draw_entry FOREIGN KEY (entry_id, member_id) REFERENCES points_entry (id, member_id),
    ADD CONSTRAINT draw_lot FOREIGN KEY (lot_id, member_id) REFERENCES points_lot (id, member_id);
ALTER TABLE points_hold
    ADD CONSTRAINT hold_entry FOREIGN KEY (entry_id, member_id) REFERENCES points_entry (id, member_id);
-- A foreign key checked row by row costs a third of one kept for the end of the transaction.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT conrelid::regclass AS owner, conname FROM pg_constraint
        WHERE contype = 'f' AND condeferrable AND conrelid IN (
            'points_entry'::regclass, 'points_lot'::regclass, 'points_draw'::regclass, 'points_balance'::regclass,
            'points_event'::regclass, 'points_ruleusage'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I NOT DEFERRABLE', found.owner, found.conname);
    END LOOP;
END $$;
-- Rows that are updated in place leave room on their page.
ALTER TABLE points_balance SET (fillfactor = 80);
ALTER TABLE points_lot SET (fillfactor = 80);

-- PostgreSQL validates the SQL/JSON path of a rule, and keeps the history of rules honest: what has been active is not
-- rewritten, because years later it must still explain what it gave.
-- A variable in the path has no value when an event is judged, and would stop every event: as jsonpath prints it, $"name"
-- outside of a text.
ALTER TABLE points_earningrule ADD CONSTRAINT earningrule_attributes_path_valid CHECK (
    attributes_path = '' OR regexp_replace(attributes_path::jsonpath::text, '"(\\.|[^"\\])*"', '""', 'g') !~ '\$""');
-- Factors are numbers, as JSON numbers or texts, and small enough to multiply with.
ALTER TABLE points_earningrule ADD CONSTRAINT earningrule_tier_multipliers_valid CHECK (
    jsonb_typeof(tier_multipliers) = 'object'
    AND NOT jsonb_path_exists(tier_multipliers, 'strict $.* ? (!(
        @.type() == "string" && @ like_regex "^[0-9]{1,4}([.][0-9]{1,6})?$" || @.type() == "number" && @ >= 0 && @ < 10000))'));
CREATE FUNCTION points_rule_is_settled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (to_jsonb(OLD) - ARRAY['status', 'valid_until', 'name', 'name_en', 'name_zh_hans', 'description', 'description_en', 'description_zh_hans'])
        <> (to_jsonb(NEW) - ARRAY['status', 'valid_until', 'name', 'name_en', 'name_zh_hans', 'description', 'description_en', 'description_zh_hans'])
        OR NEW.status NOT IN ('active', 'retired')
        OR (OLD.status = 'retired' AND (NEW.status <> 'retired' OR NEW.valid_until > OLD.valid_until)) THEN
        RAISE EXCEPTION 'rule_version_settled: version % of rule % has been in force; make a new version', OLD.version, OLD.code
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER points_rule_is_settled BEFORE UPDATE OR DELETE ON points_earningrule
    FOR EACH ROW WHEN (OLD.status IN ('active', 'retired')) EXECUTE FUNCTION points_rule_is_settled();
