-- Every tier a member is in has its row, whatever door it came by: the first from joining, each later one from the moment
-- the action that gave it wrote beside it; from now on, when nobody wrote one.
CREATE FUNCTION members_keep_tier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO members_tierchange (member_id, tier_id, since) VALUES (NEW.id, NEW.tier_id, NEW.joined_at);
    ELSIF NEW.tier_id IS DISTINCT FROM (
        SELECT c.tier_id FROM members_tierchange c WHERE c.member_id = NEW.id ORDER BY c.id DESC LIMIT 1)
    THEN
        INSERT INTO members_tierchange (member_id, tier_id, since) VALUES (NEW.id, NEW.tier_id, now());
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER members_keep_tier AFTER INSERT ON members_member FOR EACH ROW EXECUTE FUNCTION members_keep_tier();
CREATE TRIGGER members_keep_changed_tier AFTER UPDATE OF tier_id ON members_member
    FOR EACH ROW WHEN (NEW.tier_id <> OLD.tier_id) EXECUTE FUNCTION members_keep_tier();

-- Members who are here already: the tiers their own history still tells of, each until it was changed, and the one of now.
INSERT INTO members_tierchange (member_id, tier_id, since)
SELECT member_id, tier_id, coalesce(since, joined_at)
FROM (
    SELECT m.id AS member_id, m.joined_at, h.tier_id, h.until,
           lag(h.until) OVER past AS since, lag(h.tier_id) OVER past AS earlier
    FROM (
        SELECT p.pgh_obj_id AS member_id, p.tier_id, p.pgh_created_at AS until, p.pgh_id AS place
        FROM members_memberhistory p JOIN members_tier t ON t.id = p.tier_id
        UNION ALL SELECT id, tier_id, 'infinity', NULL FROM members_member
    ) h
    JOIN members_member m ON m.id = h.member_id
    WINDOW past AS (PARTITION BY h.member_id ORDER BY h.until, h.place)
) told
WHERE tier_id IS DISTINCT FROM earlier
ORDER BY member_id, until;
