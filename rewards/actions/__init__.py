"""Every write to the catalogue, its stock, coupons and orders."""
