"""HTML of executed notebooks as it stands on a page: what of it is shown, and where its links lead from there.

The book is made by these functions, and the audit looks with them for what has to stand on each page.
"""

import re
from collections.abc import Callable, Collection

from helpers.book.accessible import repaired
from helpers.book.terms import with_terms
from helpers.figures.html import FIGURE_TAG, FUNCTION_LINK, ROOT_LINK


def excerpt(fragment: str, name: str, panel: str = "", height_px: int | None = None) -> str:
    """Return what a page shows of a figure or table.

    Args:
        fragment: the whole.
        name: its analysis notebook.
        panel: the one panel that is shown; empty for all.
        height_px: where given, only legend and plots are shown, of this height, with a link to the whole.
    """
    if panel:
        others = rf"<!-- panel (?!{re.escape(panel)} -->).*?<!-- end of panel -->"
        fragment = re.sub(others, "", fragment, flags=re.DOTALL)
    return fragment if height_px is None else _brief(fragment, height_px, name)


def resolved(
    body: str, depth: int, images: Collection[str], function_page: Callable[[str], str | None]
) -> str:
    """Return the HTML of a page with links that lead somewhere.

    Args:
        body: with links that start with `companion-root:` or `companion-function:`.
        depth: how many folders the page lies below the root of the book.
        images: names of the static images that were drawn; the others' alternative text takes their place.
        function_page: gives the page of a function of the package as seen from the root; None where there is none.
    """

    def function(match: re.Match[str]) -> str:
        target = function_page(match[1])
        return f'href="{ROOT_LINK}{target}"' if target else 'href=""'

    body = re.sub(
        rf"{re.escape(FIGURE_TAG)}.*?</figure>", lambda found: with_terms(found[0]), body, flags=re.DOTALL
    )
    body = _without_absent_images(body, images)
    body = re.sub(f'href="{FUNCTION_LINK}([^"]*)"', function, body)
    body = re.sub(r'<a href="">(<code>.*?</code>)</a>', r"\1", body)
    return repaired(body).replace(f'="{ROOT_LINK}', f'="{"../" * depth}')  # not where a text speaks of it


def _without_absent_images(body: str, images: Collection[str]) -> str:
    def image(match: re.Match[str]) -> str:
        return match[0] if match[1] in images else f"<noscript><p>{match[2]}</p></noscript>"

    def download(match: re.Match[str]) -> str:
        return match[0] if match[1] in images else ""

    body = re.sub(rf'<img class="static" src="{ROOT_LINK}_images/([^"]*)" alt="([^"]*)"[^>]*>', image, body)
    return re.sub(rf'<a class="svg" href="{ROOT_LINK}_images/([^"]*)"[^>]*>.*?</a>', download, body)


def _brief(fragment: str, height_px: int, name: str) -> str:
    """Leave out all words around the plots; the page has its own."""
    fragment = re.sub(r'<div class="panel-note">.*?</div>', "", fragment)
    fragment = re.sub(r'<p class="(finding|note|panel-title|panel-files)">.*?</p>', "", fragment)
    fragment = re.sub(r'<details class="note-more">.*?</details>', "", fragment)
    fragment = re.sub(
        r'style="min-height: \d+px"', f'style="min-height: {height_px}px" data-height="{height_px}"', fragment
    )
    head, end, _ = fragment.rpartition("<!-- end of panel -->")
    if not end:
        return fragment  # not executed yet: nothing but a sentence
    link = f'<a href="{ROOT_LINK}notebooks/analysis/{name}.html">The whole figure, with data and source</a>'
    return f"{head}{end}</div><figcaption>{link}</figcaption></figure>"
