"""What the HTML of other extensions lacks for keyboard and screen reader is repaired here."""

import re

_REPAIRS = (
    # A table that scrolls has to be reached by keyboard.
    (
        r'<div class="pst-scrollable-table-container">',
        r'<div class="pst-scrollable-table-container" tabindex="0" role="group" aria-label="Table">',
    ),
    # So has one that pandas shows, whose style is ours (book/_static/figures.css).
    (
        r"<div>\n<style scoped>.*?</style>",
        '<div class="frame" tabindex="0" role="group" aria-label="Table">',
    ),
    # The name of a control has to be what is written on it.
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # The list of references has marks and links between its items, which a list may not hold.
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    (r' role="doc-biblioentry"', ""),
)


def repaired(body: str) -> str:
    """Return the HTML of a page's body with the names, roles and tab stops that it lacks."""
    for pattern, replacement in _REPAIRS:
        body = re.sub(pattern, replacement, body, flags=re.DOTALL)
    return body
