"""The book: analyses executed, pages staged, HTML built."""
