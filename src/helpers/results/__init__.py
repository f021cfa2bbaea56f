"""The results tables: one row per run, the same columns for published and measured values.

`load_tables` reads them all; the page on analysing them yourself has an example.
"""

from helpers.results.tables import Tables, load_tables

__all__ = ["Tables", "load_tables"]
