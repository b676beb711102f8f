-- The messages of a stretch of the ledger for one endpoint, in each member's order. The entry's own key keeps one from
-- being told twice.
INSERT INTO members_webhookdelivery (endpoint_id, member_id, type, data, at, place, entry_id, next_attempt_at)
SELECT %(endpoint)s, e.member_id, told.type, jsonb_build_object(
           'member', m.number, 'entry', e.id, 'number', e.seq, 'kind', e.kind, 'type', t.code, 'points', e.points,
           'from', e.from_account, 'to', e.to_account, 'available_after', e.available_after,
           'occurred_at', e.occurred_at, 'recorded_at', e.recorded_at, 'source', e.source, 'reference', e.reference,
           'event', v.reference, 'rule', r.code),
       e.recorded_at, e.id, e.id, %(at)s
FROM points_entry e
CROSS JOIN LATERAL (
    SELECT CASE WHEN e.from_account = 'issued' THEN 'points.accrued'
                WHEN e.to_account = 'redeemed' THEN 'points.redeemed'
                WHEN e.to_account = 'expired' THEN 'points.expired' END AS type) told
JOIN members_member m ON m.id = e.member_id
JOIN points_pointtype t ON t.id = e.point_type_id
LEFT JOIN points_earningrule r ON r.id = e.rule_id
LEFT JOIN points_event v ON v.id = e.event_id AND v.member_id = e.member_id
WHERE e.id > %(after)s AND e.id <= %(until)s AND told.type = ANY (%(types)s)
ORDER BY e.member_id, e.seq
