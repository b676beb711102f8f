-- The outbox of what is not in the ledger: a trigger writes one message for each endpoint that listens, in the
-- transaction of the fact and whatever door the fact came by. Where nobody listens it looks at one small table and ends.
-- The ledger needs no trigger: it is read later, entry by entry (rewards/outbox.py).
--
-- A message stands after the member's last entry of the time, so that an endpoint hears of a member in the order in which
-- it happened, whether it was told by a trigger or read from the ledger.

CREATE FUNCTION rewards_tell(of_type text, of_member bigint, facts jsonb, happened_at timestamptz) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO members_webhookdelivery (endpoint_id, member_id, type, data, at, place, next_attempt_at)
    SELECT listener, of_member, of_type, facts, happened_at,
           coalesce((SELECT e.id FROM points_entry e WHERE e.member_id = of_member ORDER BY e.seq DESC LIMIT 1), 0), now()
    FROM members_webhook_listeners(of_type) listener
$$;

CREATE FUNCTION rewards_is_heard(of_type text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM members_webhook_listeners(of_type))
$$;

-- Money as the API writes it: a decimal string. The same currencies as in config/lib/money.py; a test compares.
CREATE FUNCTION rewards_money(minor bigint, of_currency text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('currency', of_currency, 'amount', (minor * CASE
        WHEN of_currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND',
                             'VUV', 'XAF', 'XOF', 'XPF') THEN 1
        WHEN of_currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 0.001
        WHEN of_currency IN ('CLF', 'UYW') THEN 0.0001
        ELSE 0.01 END)::text)
$$;

CREATE FUNCTION rewards_tell_member() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF rewards_is_heard('member.enrolled') THEN
            PERFORM rewards_tell('member.enrolled', NEW.id, jsonb_build_object(
                'member', NEW.number, 'status', NEW.status, 'joined_at', NEW.joined_at, 'source', NEW.source,
                'tier', (SELECT t.code FROM members_tier t WHERE t.id = NEW.tier_id)), now());
        END IF;
        RETURN NULL;
    END IF;
    IF NEW.tier_id <> OLD.tier_id AND rewards_is_heard('tier.changed') THEN
        PERFORM rewards_tell('tier.changed', NEW.id, jsonb_build_object(
            'member', NEW.number,
            'from', (SELECT t.code FROM members_tier t WHERE t.id = OLD.tier_id),
            'to', (SELECT t.code FROM members_tier t WHERE t.id = NEW.tier_id)), now());
    END IF;
    IF NEW.status = 'closed' AND OLD.status <> 'closed' AND rewards_is_heard('member.closed') THEN
        PERFORM rewards_tell('member.closed', NEW.id, jsonb_build_object('member', NEW.number), now());
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER rewards_tell_enrolled AFTER INSERT ON members_member FOR EACH ROW EXECUTE FUNCTION rewards_tell_member();
CREATE TRIGGER rewards_tell_changed AFTER UPDATE OF tier_id, status ON members_member
    FOR EACH ROW WHEN (NEW.tier_id <> OLD.tier_id OR NEW.status <> OLD.status) EXECUTE FUNCTION rewards_tell_member();

CREATE FUNCTION rewards_tell_redemption() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text;
BEGIN
    FOREACH told IN ARRAY CASE
        WHEN TG_OP = 'UPDATE' THEN ARRAY['redemption.completed']
        WHEN NEW.state = 'completed' THEN ARRAY['redemption.placed', 'redemption.completed']
        ELSE ARRAY['redemption.placed'] END
    LOOP
        CONTINUE WHEN NOT rewards_is_heard(told);
        PERFORM rewards_tell(told, NEW.member_id, jsonb_build_object(
            'redemption', NEW.key, 'kind', NEW.kind, 'status', NEW.state, 'quantity', NEW.quantity, 'points', NEW.points,
            'source', NEW.source, 'reference', NEW.reference,
            'member', (SELECT m.number FROM members_member m WHERE m.id = NEW.member_id),
            'reward', (SELECT r.code FROM rewards_reward r WHERE r.id = NEW.reward_id),
            'variant', (SELECT v.code FROM rewards_rewardvariant v WHERE v.id = NEW.variant_id)), NEW.changed_at);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER rewards_tell_placed AFTER INSERT ON rewards_redemption
    FOR EACH ROW EXECUTE FUNCTION rewards_tell_redemption();
CREATE TRIGGER rewards_tell_completed AFTER UPDATE OF state ON rewards_redemption
    FOR EACH ROW WHEN (NEW.state = 'completed' AND OLD.state <> 'completed') EXECUTE FUNCTION rewards_tell_redemption();

-- Of the code its end alone: who has it could use it again after a return.
CREATE FUNCTION rewards_tell_coupon() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF rewards_is_heard('coupon.redeemed') THEN
        PERFORM rewards_tell('coupon.redeemed', NEW.member_id, (
            SELECT jsonb_build_object(
                'coupon', '****-' || right(c.code, 4), 'source', NEW.source, 'reference', NEW.reference,
                'money', rewards_money(NEW.amount_minor, c.currency),
                'discount', rewards_money(NEW.discount_minor, c.currency),
                'member', (SELECT m.number FROM members_member m WHERE m.id = NEW.member_id),
                'reward', (SELECT r.code FROM rewards_reward r WHERE r.id = c.reward_id))
            FROM rewards_coupon c WHERE c.id = NEW.coupon_id), NEW.at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER rewards_tell_coupon AFTER INSERT ON rewards_couponuse
    FOR EACH ROW WHEN (NEW.gives_back_id IS NULL) EXECUTE FUNCTION rewards_tell_coupon();

-- The highest number of an entry that was drawn, and the transactions that are writing entries: in this order the two
-- make a fence (rewards/outbox.py).
CREATE FUNCTION rewards_entries_drawn() RETURNS bigint LANGUAGE sql AS $$
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM points_entry_id_seq
$$;

CREATE FUNCTION rewards_entry_writers() RETURNS TABLE (pid integer, virtualtransaction text)
LANGUAGE sql STABLE AS $$
    SELECT l.pid, l.virtualtransaction FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.relation = 'points_entry'::regclass AND l.mode = 'RowExclusiveLock'
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
$$;

-- An endpoint begins with the present, also when it begins again, unless it has still to read up to its end before.
CREATE FUNCTION rewards_begin_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.entries_read >= NEW.fence_entry THEN
        NEW.entries_read := rewards_entries_drawn();
        NEW.fence_entry := NEW.entries_read;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rewards_begin_webhooks BEFORE INSERT ON members_webhookendpoint
    FOR EACH ROW EXECUTE FUNCTION rewards_begin_webhooks();
CREATE TRIGGER rewards_begin_webhooks_again BEFORE UPDATE OF status ON members_webhookendpoint
    FOR EACH ROW WHEN (NEW.status = 'active' AND OLD.status <> 'active') EXECUTE FUNCTION rewards_begin_webhooks();

-- An endpoint ends with a fence: what was written while it was active is read for it, though it is stopped by then.
CREATE FUNCTION rewards_end_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT c.is_active FROM members_client c WHERE c.id = NEW.client_id) THEN
        NEW.fence_entry := rewards_entries_drawn();
        NEW.fence_writers := ARRAY(
            SELECT w.virtualtransaction FROM rewards_entry_writers() w WHERE w.pid <> pg_backend_pid());
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rewards_end_webhooks BEFORE UPDATE OF status ON members_webhookendpoint
    FOR EACH ROW WHEN (NEW.status <> 'active' AND OLD.status = 'active') EXECUTE FUNCTION rewards_end_webhooks();

-- With a client system that is switched off its endpoints end, and they begin when it is switched on. The database does
-- not know the day of the programme; the day before its own is over everywhere.
CREATE FUNCTION rewards_switch_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    drawn bigint := rewards_entries_drawn();
BEGIN
    IF NEW.is_active THEN
        UPDATE members_webhookendpoint
        SET entries_read = drawn, fence_entry = drawn, expiring_told_on = greatest(expiring_told_on, current_date - 1)
        WHERE client_id = NEW.id AND status = 'active' AND entries_read >= fence_entry;
    ELSE
        UPDATE members_webhookendpoint SET fence_entry = drawn, fence_writers = ARRAY(
            SELECT w.virtualtransaction FROM rewards_entry_writers() w WHERE w.pid <> pg_backend_pid())
        WHERE client_id = NEW.id AND status = 'active';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER rewards_switch_webhooks AFTER UPDATE OF is_active ON members_client
    FOR EACH ROW WHEN (NEW.is_active <> OLD.is_active) EXECUTE FUNCTION rewards_switch_webhooks();
