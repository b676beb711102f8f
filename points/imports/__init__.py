"""Events from files: what is in a row, what is wrong with it, and where it goes."""
