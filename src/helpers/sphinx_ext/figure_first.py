"""On the page of an analysis the figure comes first and the steps to it last; in the notebook the steps lead to it."""

from typing import Any

from docutils import nodes

from helpers.figures.html import FIGURE_TAG

ANALYSES = "notebooks/analysis/"


def setup(app: Any) -> None:
    """Register with Sphinx; called by `helpers.sphinx_ext.extension`."""
    app.connect("doctree-read", _put_figure_first, priority=400)  # before the contents of the page are listed


def _put_figure_first(app: Any, doctree: nodes.document) -> None:
    """Move the output that holds the figure behind the text that opens the page, and the section it stood in to the end."""
    if not app.env.docname.startswith(ANALYSES):
        return
    outputs = [
        node
        for node in doctree.findall(nodes.container)
        if node.get("nb_element") == "cell_code_output" and FIGURE_TAG in node.astext()
    ]
    page = next(doctree.findall(nodes.section), None)
    if page is None or len(outputs) != 1:
        return
    (figure,) = outputs
    steps = next(
        (part for part in page if isinstance(part, nodes.section) and figure in part.findall()), None
    )
    first = next(part for part in page if isinstance(part, nodes.section | nodes.container))
    figure.parent.remove(figure)
    page.insert(page.index(first), nodes.container("", figure, classes=["cell"]))
    if steps is not None:
        page.remove(steps)
        page.append(steps)
