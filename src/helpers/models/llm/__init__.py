"""Language models: serve a checkpoint, ask it, and prove what happened (paper, section 3.2)."""
