"""Verify the book from its files: checksums, records, figures made anew, numbers of the prose, pages and links."""
