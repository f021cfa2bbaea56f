"""Take out of the built book what no reader needs: what asks a server, what is there twice, what is never shown."""

import re
import shutil
from pathlib import Path

_TAGS = (
    r'<link rel="preload" as="font"[^>]*>\n?',  # refused by browsers on file://
    r"<script>const THEBE_JS_URL.*?</script>\n?",  # live code would run on a server
    r'<script[^>]*src="[^"]*sphinx-thebe\.js[^"]*"></script>\n?',
    r'<link[^>]*href="[^"]*sphinx-thebe\.css[^"]*"[^>]*>\n?',
    r'<script type="text/x-thebe-config">.*?</script>\n?',
    r"<script>kernelName = .*?</script>\n?",
)
_FILES = (
    "**/*.map",
    "vendor",  # icons as fonts; frame.css draws them
    "locales",
    "sphinx-thebe.*",
    "*webpack-macros.html",
    "images/logo_[!b]*",
)


def trim(html: Path) -> None:
    """Trim the pages and the static files of the built book in `html`."""
    for page in html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub("|".join(_TAGS), "", text, flags=re.DOTALL), encoding="utf-8")
    for pattern in _FILES:
        for unused in list((html / "_static").glob(pattern)):
            if unused.is_dir():
                shutil.rmtree(unused)
            else:
                unused.unlink()
