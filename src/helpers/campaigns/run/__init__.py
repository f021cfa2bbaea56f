"""A campaign, run: in which order, on which site, how it goes on, and what becomes of runs that fail."""
