"""Every write to the catalogue's stock, to coupons and to orders."""
