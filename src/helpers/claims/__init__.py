"""The claim ledger: each quantitative or comparative statement of the paper, recomputed from the results tables."""
