"""Words of a figure that the glossary explains: the first use of each leads there."""

import re

from helpers.figures.html import ROOT_LINK

TERMS = {
    "FKTG": r"\bFKTG\b",
    "machine": r"\bCapella\b",
    "pass": r"\b(?:[Oo]ne|[Aa]|per|each) pass\b",
    "split": r"\bsplits?\b",
    "hollow-mark": r"\b[Hh]ollow\b",
    "quantised-weights": r"\b[Qq]uantised weights\b",
    "digitised": r"\bdigitised\b",
    "version-of-the-paper": r"\bv[12]\b",
    "node": r"\bover all nodes\b",
    "dex": r"\bdex\b",
    "HC3": r"\bHC3\b",
    "Cook-s-distance": r"\bCook\W*s distance\b",
}
"""Entries of the glossary (book/glossary.md), as its anchors name them, and how a figure writes them."""
_WORDS = re.compile(
    r'<p class="(?:finding|note|table-title)[^>]*>.*?</p>|<div class="panel-note">.*?</div>|<td>digitised</td>',
    re.DOTALL,
)
"""Where the words of a figure stand that a reader reads first."""


def with_terms(fragment: str) -> str:
    """Return the HTML of a figure with a link to the glossary at the first use of each of `TERMS` in its words."""
    waiting = dict(TERMS)

    def paragraph(found: re.Match[str]) -> str:
        pieces = re.split(r"(<[^>]+>)", found[0])
        return "".join(piece if piece.startswith("<") else _linked(piece, waiting) for piece in pieces)

    return _WORDS.sub(paragraph, fragment)


def _linked(text: str, waiting: dict[str, str]) -> str:
    """Link the first use of each term that is still waiting for one, and take it from there."""
    uses = [
        (use.start(), use.end(), term) for term, words in waiting.items() if (use := re.search(words, text))
    ]
    done = len(text)
    for start, end, term in sorted(uses, reverse=True):
        if end <= done:
            link = f'<a class="term" href="{ROOT_LINK}book/glossary.html#term-{term}">{text[start:end]}</a>'
            text, done = f"{text[:start]}{link}{text[end:]}", start
            del waiting[term]
    return text
