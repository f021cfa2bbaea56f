"""Figures and tables that the paper does not have, one module each."""
