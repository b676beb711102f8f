-- The key of a member's order: (id, member_id), so that rows point at each other by the pair and the tables can be
-- distributed by member without a rewrite.
ALTER TABLE rewards_redemption DROP CONSTRAINT rewards_redemption_pkey, ADD PRIMARY KEY (id, member_id);
ALTER TABLE rewards_redemption
    ADD CONSTRAINT redemption_entry FOREIGN KEY (entry_id, member_id) REFERENCES points_entry (id, member_id);
-- The history row is written before the order's own row stands, hence judged at the end of the transaction.
ALTER TABLE rewards_redemptionchange
    ADD CONSTRAINT redemptionchange_redemption FOREIGN KEY (redemption_id, member_id)
        REFERENCES rewards_redemption (id, member_id) DEFERRABLE INITIALLY DEFERRED;
-- The one hot row of a flash sale leaves room on its page, so that a sale need not touch an index.
ALTER TABLE rewards_stock SET (fillfactor = 50);
