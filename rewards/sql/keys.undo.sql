ALTER TABLE rewards_redemptionchange DROP CONSTRAINT redemptionchange_redemption;
ALTER TABLE rewards_redemption DROP CONSTRAINT redemption_entry;
ALTER TABLE rewards_redemption DROP CONSTRAINT rewards_redemption_pkey, ADD PRIMARY KEY (id);
