"""Ask every web address that the built book leads to whether it is there: `make linkcheck`, with network.

Sphinx's own builder sees the links of its document trees alone, and not those in the HTML of figures and tables.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from helpers.book import build

_REFUSED = (401, 403, 405, 406, 418, 429, 999)
"""Answers of servers that are there and refuse programs."""
_TIMEOUT_S = 30
_CONCURRENCY = 8
_ATTEMPTS = 2


def links(html: Path) -> dict[str, list[str]]:
    """Return the web addresses in the pages of `html`, each with the pages that lead to it."""
    pages_of = defaultdict(list)
    for page in sorted(html.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        for address in sorted(set(re.findall(r'<a\s[^>]*?href="(https?://[^"#]+)', text))):
            pages_of[unescape(address)].append(page.relative_to(html).as_posix())
    return dict(pages_of)


def broken(pages_of: Mapping[str, list[str]]) -> list[str]:
    """Ask for each address; returns a line for each that is not there: address, answer, a page that leads to it."""
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        answers = dict(zip(pages_of, pool.map(_answer, pages_of), strict=True))
    return [
        f"{address}: {answer} (on {pages_of[address][0]})" for address, answer in answers.items() if answer
    ]


def _answer(address: str) -> str:
    """Return what is wrong with an address; nothing where it is there, or refuses programs."""
    answer = ""
    for _ in range(_ATTEMPTS):
        # Some servers know no HEAD, so a page is asked for, and not read.
        headers = {"User-Agent": "Mozilla/5.0 (link check of a book)"}
        request = Request(address, headers=headers)  # noqa: S310  (`links` takes web addresses only)
        try:
            with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
                return ""
        except HTTPError as error:
            if error.code in _REFUSED:
                return ""
            answer = f"status {error.code}"
        except (URLError, OSError, ValueError) as error:
            answer = str(getattr(error, "reason", error))
    return answer


def main() -> int:
    """Check the built book; returns 0, or 1 after a line for each address that is not there."""
    pages_of = links(build.HTML)
    lines = broken(pages_of)
    print("\n".join([*lines, f"{len(pages_of)} web addresses, {len(lines)} not found"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
