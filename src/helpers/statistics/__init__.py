"""Statistics behind the figures: plain functions on data frames, no drawing."""
