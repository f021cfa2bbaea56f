"""One module for each figure and table of the book: what the notebooks in notebooks/analysis show."""
