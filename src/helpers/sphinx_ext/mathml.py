"""Formulas as MathML, made while the book is built: no script, no font, no network, and readable by a screen reader."""

import html
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.logging import getLogger

LOGGER = getLogger(__name__)
RENDERER = "mathml"


def setup(app: Any) -> None:
    """Register the renderer, which `html_math_renderer` chooses."""
    app.add_html_math_renderer(RENDERER, (_visit_inline, None), (_visit_block, None))


def mathml(latex: str, display: str) -> str:
    """Return a formula as a `math` element.

    Args:
        latex: the formula, without the dollars around it.
        display: `inline` or `block`.
    """
    element: str = convert(latex, display=display)
    return element.replace("<math ", f'<math alttext="{html.escape(latex.strip())}" ', 1)


def _visit_inline(visitor: Any, node: nodes.math) -> None:
    visitor.body.append(f'<span class="math">{_converted(node, "inline")}</span>')
    raise nodes.SkipNode


def _visit_block(visitor: Any, node: nodes.math_block) -> None:
    visitor.body.append(visitor.starttag(node, "div", CLASS="math"))
    visitor.body.append(f"{_converted(node, 'block')}</div>\n")
    raise nodes.SkipNode


def _converted(node: nodes.math | nodes.math_block, display: str) -> str:
    latex = node.astext()
    try:
        return mathml(latex, display)
    except Exception as error:  # the converter raises whatever it stumbles over
        LOGGER.warning("formula %r: %s", latex, error or type(error).__name__, location=node)
        return ""
