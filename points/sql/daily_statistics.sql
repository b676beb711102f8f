-- Points moved on one booking day, by type, kind, rule, channel and the tier at the time. Run after a DELETE of that day.
-- What no event tells stays empty: a member's tier of today would make another figure of the same day tomorrow.
INSERT INTO points_dailystatistic (day, point_type, kind, rule_id, channel, tier, entries, points)
SELECT %(day)s, t.code, e.kind, coalesce(e.rule_id, 0), coalesce(v.channel, ''), coalesce(v.tier, ''), count(*), sum(e.points)
FROM points_entry e
JOIN points_pointtype t ON t.id = e.point_type_id
LEFT JOIN points_event v ON v.member_id = e.member_id AND v.id = e.event_id
WHERE e.recorded_at >= %(start)s AND e.recorded_at < %(end)s
GROUP BY 2, 3, 4, 5, 6
