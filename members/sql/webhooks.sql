-- Which endpoints are told of a type of fact now: those that asked for it, of systems that may come in and read it.
-- Whoever writes a fact asks here first, so that nothing is written where nobody listens.
CREATE FUNCTION members_webhook_listeners(of_type text) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT e.id FROM members_webhookendpoint e
    JOIN members_client c ON c.id = e.client_id
    WHERE e.status = 'active' AND of_type = ANY (e.types)
        AND c.is_active AND EXISTS (
            SELECT FROM members_clientkey k
            WHERE k.client_id = c.id AND k.state <> 'ended' AND (k.expires_at IS NULL OR k.expires_at > now()))
        AND CASE split_part(of_type, '.', 1)
                WHEN 'points' THEN 'points:read'
                WHEN 'redemption' THEN 'rewards:read'
                WHEN 'coupon' THEN 'rewards:read'
                ELSE 'members:read'
            END = ANY (c.scopes)
$$;
