DROP TRIGGER points_rule_is_settled ON points_earningrule;
DROP TRIGGER points_open_budget ON points_earningrule;
DROP TRIGGER points_wait_for_enrolments ON points_pointtype;
DROP TRIGGER points_open_balances ON points_pointtype;
DROP TRIGGER points_open_balances ON members_member;
DROP FUNCTION points_rule_is_settled(), points_open_budget(), points_wait_for_enrolments(), points_open_balances();
ALTER TABLE points_earningrule DROP CONSTRAINT earningrule_tier_multipliers_valid, DROP CONSTRAINT earningrule_attributes_path_valid;
ALTER TABLE points_hold DROP CONSTRAINT hold_entry;
ALTER TABLE points_draw DROP CONSTRAINT draw_lot, DROP CONSTRAINT draw_entry;
ALTER TABLE points_lot DROP CONSTRAINT lot_entry;
ALTER TABLE points_event DROP CONSTRAINT event_refund_of;
ALTER TABLE points_entry DROP CONSTRAINT entry_balance, DROP CONSTRAINT entry_corrects, DROP CONSTRAINT entry_event;
ALTER TABLE points_event DROP CONSTRAINT points_event_pkey, ADD PRIMARY KEY (id);
ALTER TABLE points_lot DROP CONSTRAINT points_lot_pkey, ADD PRIMARY KEY (id);
ALTER TABLE points_entry DROP CONSTRAINT points_entry_pkey, ADD PRIMARY KEY (id);
REVOKE ALL ON points_entry, points_draw, points_event, points_reference, points_lot, points_balance, points_ruleusage,
    points_rulebudget, points_pointtype, points_earningrule, points_hold, members_member, members_memberkey, members_tier
    FROM laurel_ledger;
