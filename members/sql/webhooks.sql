-- What a system must be allowed to read before it is told of a type of fact; scope_of in Python says the same.
CREATE FUNCTION members_webhook_scope(of_type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE split_part(of_type, '.', 1)
        WHEN 'points' THEN 'points:read'
        WHEN 'redemption' THEN 'rewards:read'
        WHEN 'coupon' THEN 'rewards:read'
        ELSE 'members:read'
    END
$$;

-- Which endpoints are told of a type of fact now: those that asked for it, of systems that are on and may read it. A
-- system without a key that works is told as well: its messages wait for the next key.
-- Whoever writes a fact asks here first, so that nothing is written where nobody listens.
CREATE FUNCTION members_webhook_listeners(of_type text) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT e.id FROM members_webhookendpoint e
    JOIN members_client c ON c.id = e.client_id
    WHERE e.status = 'active' AND of_type = ANY (e.types) AND c.is_active
        AND members_webhook_scope(of_type) = ANY (c.scopes)
$$;
