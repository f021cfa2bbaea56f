"""`ro-crate-preview.html`: an RO-Crate for people, one page without script and without anything from a server."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

PREVIEW = "ro-crate-preview.html"
_STYLE = (
    ":root{color-scheme:light dark;--text:#1f2328;--page:#fff;--line:#d0d7de;--link:#0550ae}"
    "@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--page:#121417;--line:#3d444d;--link:#79c0ff}}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:var(--text);"
    "background:var(--page)}table{border-collapse:collapse}td,th{text-align:left;padding:.25rem .75rem .25rem 0;"
    "vertical-align:top;border-bottom:1px solid var(--line)}th,.wide td:not(:first-child){white-space:nowrap}"
    ".wide{overflow-x:auto}.wide td:first-child{min-width:12rem}h1{font-size:1.6rem}a{color:var(--link)}"
)


def preview_text(document: Mapping[str, Any], steps: Sequence[str]) -> str:
    """Return the page for a crate.

    Args:
        document: what `ro-crate-metadata.json` holds; every text of it is escaped, for some are of other machines.
        steps: what whoever received the crate can do with it; texts.
    """
    entities = {item["@id"]: item for item in document["@graph"]}
    root = entities["./"]
    facts = {
        "Author": _named(root.get("author"), entities),
        "Licence": _named(root.get("license"), entities),
        "Published": html.escape(str(root.get("datePublished", ""))),
        "Version": html.escape(str(root.get("version", ""))),
        "Accompanies": _named(root.get("citation"), entities),
    }
    rows = "".join(
        f"<tr><th scope=row>{name}</th><td>{value}</td></tr>" for name, value in facts.items() if value
    )
    title, description = (html.escape(str(root.get(key, ""))) for key in ("name", "description"))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><main><h1>{title}</h1>\n<p>{description}</p>\n<table>{rows}</table>\n"
        f"<h2>What to do with it</h2>\n<ol>{''.join(f'<li>{html.escape(step)}</li>' for step in steps)}</ol>\n"
        '<h2>What is in it</h2>\n<div class="wide" tabindex="0" role="region" aria-label="Files"><table><thead>'
        "<tr><th scope=col>Name</th><th scope=col>Kind</th>"
        f"<th scope=col>Bytes</th><th scope=col>sha256</th></tr></thead><tbody>\n{_contents(entities)}</tbody></table></div>\n"
        '<p>For machines: <a href="ro-crate-metadata.json">ro-crate-metadata.json</a>.</p></main></body></html>\n'
    )


def _contents(entities: Mapping[str, Any]) -> str:
    rows = []
    for identifier, item in sorted(entities.items()):
        kinds = item["@type"] if isinstance(item["@type"], list) else [item["@type"]]
        if identifier == "./" or not {"File", "Dataset"} & set(kinds) or "://" in identifier:
            continue
        name = html.escape(str(item.get("name", identifier)))
        shown = (
            f'<a href="{html.escape(identifier)}">{name}</a>'
            if "File" in kinds
            else f"<strong>{name}</strong>"
        )
        kind = html.escape(str(item.get("encodingFormat", "folder" if "Dataset" in kinds else "")))
        size, digest = (html.escape(str(item.get(key, ""))) for key in ("contentSize", "sha256"))
        rows.append(f"<tr><td>{shown}</td><td>{kind}</td><td>{size}</td><td>{digest[:16]}</td></tr>\n")
    return "".join(rows)


def _named(value: Any, entities: Mapping[str, Any]) -> str:
    """Return the names of what a property refers to, with a link where it has a web address."""
    names = []
    for reference in value if isinstance(value, list) else [value] if value else []:
        identifier = reference["@id"] if isinstance(reference, dict) else str(reference)
        name = html.escape(str(entities.get(identifier, {}).get("name", identifier)))
        is_web = identifier.startswith("https://")
        names.append(f'<a href="{html.escape(identifier)}">{name}</a>' if is_web else name)
    return ", ".join(names)
