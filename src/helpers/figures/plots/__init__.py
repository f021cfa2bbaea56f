"""Marks, bars, dots and tables that several figures share."""
