"""One run, from parameters to its record."""
