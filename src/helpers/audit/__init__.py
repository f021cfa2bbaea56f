"""Verify the book from its files: checksums, records, re-executed figures, numbers of the prose, pages and links."""
