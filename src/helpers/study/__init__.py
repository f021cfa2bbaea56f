"""The catalogue: models, datasets, machines, campaigns, hardware limits, grids."""
