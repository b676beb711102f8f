DROP TRIGGER members_keep_changed_tier ON members_member;
DROP TRIGGER members_keep_tier ON members_member;
DROP FUNCTION members_keep_tier();
