"""The classifiers: traditional models, and language models behind a server."""
