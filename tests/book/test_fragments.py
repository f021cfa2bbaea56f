"""HTML of executed notebooks as it stands on a page."""

from helpers.book.fragments import excerpt, resolved


def test_links_lead_from_the_page_and_words_about_them_stay() -> None:
    body = (
        '<a href="companion-root:notebooks/x.html">x</a> <a href="companion-function:known"><code>f</code></a> '
        '<a href="companion-function:unknown"><code>g</code></a> '
        '<p>Links begin with <code>companion-root:</code> or <code>companion-function:</code>.</p><h2 id="next">next</h2>'
    )
    html = resolved(body, 2, (), {"known": "package.html#known"}.get)
    assert html == (
        '<a href="../../notebooks/x.html">x</a> <a href="../../package.html#known"><code>f</code></a> <code>g</code> '
        '<p>Links begin with <code>companion-root:</code> or <code>companion-function:</code>.</p><h2 id="next">next</h2>'
    )


def test_excerpt_keeps_the_one_panel_and_leads_to_the_whole() -> None:
    panel = '<!-- panel {0} --><p class="panel-title">{0}</p><i style="min-height: 480px">{0}</i><!-- end of panel -->'
    body = (
        '<figure><p class="finding">It is so.</p><details class="note-more">How</details><div class="panels">'
        f"{panel.format('one')}{panel.format('two')}</div><figcaption>Source</figcaption></figure>"
    )
    assert excerpt(body, "figure_1") == body
    assert "two" not in excerpt(body, "figure_1", "one")
    brief = excerpt(body, "figure_1", "two", 360)
    assert brief == (
        '<figure><div class="panels"><!-- panel two --><i style="min-height: 360px" data-height="360">two</i>'
        '<!-- end of panel --></div><figcaption><a href="companion-root:notebooks/analysis/figure_1.html">'
        "The whole figure, with data and source</a></figcaption></figure>"
    )
