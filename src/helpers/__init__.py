"""Everything that the notebooks of the companion call; see book/methods.md for the words used."""
