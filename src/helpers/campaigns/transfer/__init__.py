"""Records and models in and out: fetch, export, import, promote."""
