"""HTML of other extensions gets the names, roles and tab stops that it lacks."""

import pytest

from helpers.book.accessible import repaired


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            '<div class="pst-scrollable-table-container"><table>',
            '<div class="pst-scrollable-table-container" tabindex="0" role="group" aria-label="Table"><table>',
        ),
        ('<summary aria-label="Toggle hidden content"><p>Show</p>', "<summary><p>Show</p>"),
        (
            '<div role="list" class="citation-list"><div class="citation" id="a" role="doc-biblioentry">',
            '<div class="citation-list"><div class="citation" id="a">',
        ),
    ],
)
def test_what_lacks_is_added(given: str, expected: str) -> None:
    assert repaired(given) == expected
    assert repaired(expected) == expected


def test_other_roles_and_summaries_stay() -> None:
    body = '<ul role="list"><li>a</li></ul><summary aria-label="Mine">b</summary>'
    assert repaired(body) == body
