"""The results tables: one row per run, the same columns for published and measured values."""
