"""Static images are drawn by a real Chromium, once for each figure."""

from xml.etree import ElementTree

import plotly.graph_objects as go
import pytest

from helpers.book import images
from helpers.figures import plotly_json, style
from helpers.figures.display import SMALL_PX, WIDE_PX
from helpers.figures.executed import ExecutedFigure, ExecutedPanel

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own, empty."""
    monkeypatch.setattr(images, "CACHE", tmp_path / "cache")
    return images.CACHE


@pytest.fixture
def chromium():
    if not images.has_browser():
        pytest.skip("no Chromium: apt-get install chromium")


def shown(*panels: ExecutedPanel) -> ExecutedFigure:
    return ExecutedFigure(
        name="x",
        label="X",
        kind="figure",
        finding="f",
        note="n",
        function="f",
        inputs=(),
        sha256={},
        records=(),
        commit=None,
        dirty=None,
        rebuild="r",
        data_csv="",
        body="",
        panels=panels,
    )


def panel(name: str, points: int, wide: bool = False) -> ExecutedPanel:
    figure = go.Figure(go.Scatter(x=list(range(points)), y=list(range(points)), mode="markers", name=name))
    style.layout(figure, height=200)
    plain = plotly_json.plain(figure)
    return ExecutedPanel(name=name, title="t", note="n", alt="a", wide=wide, height=200, figure=plain)


def test_every_panel_is_drawn_with_its_marks_and_its_size(tmp_path, chromium):
    drawn = images.draw([shown(panel("a", 3), panel("b", 5, wide=True))], tmp_path / "out")
    assert drawn == {"x-a.svg", "x-b.svg"}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(drawn)
    for name, points, width in (("a", 3, SMALL_PX), ("b", 5, WIDE_PX)):
        root = ElementTree.parse(tmp_path / "out" / f"x-{name}.svg").getroot()  # noqa: S314  (our own)
        assert (root.tag, root.get("width"), root.get("height")) == (f"{SVG}svg", str(width), "200")
        marks = [mark for group in root.iter(f"{SVG}g") if group.get("class") == "points" for mark in group]
        assert len(marks) == points


def test_the_same_figure_is_the_same_file(tmp_path, chromium, cache):
    contents = []
    for turn in ("one", "two"):
        images.draw([shown(panel("a", 3), panel("b", 4))], tmp_path / turn)
        contents.append([(tmp_path / turn / f"x-{name}.svg").read_bytes() for name in "ab"])
        for file in cache.iterdir():
            file.unlink()
    assert contents[0] == contents[1]


def test_only_what_changed_is_drawn_again(tmp_path, chromium, monkeypatch):
    images.draw([shown(panel("a", 3))], tmp_path)
    monkeypatch.setattr(images, "has_browser", lambda: False)
    assert images.draw([shown(panel("a", 3), panel("b", 3))], tmp_path / "again") == {"x-a.svg"}
    assert images.draw([shown(panel("a", 4))], tmp_path / "changed") == set()
    assert images.draw([shown(panel("a", 3, wide=True))], tmp_path / "wide") == set()


def test_a_browser_that_does_not_start_costs_the_images_and_a_line(tmp_path, monkeypatch, capsys):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(broken))
    monkeypatch.setattr(images, "has_browser", lambda: True)
    monkeypatch.setattr(images, "_START_S", 5)
    assert images.draw([shown(panel("a", 3))], tmp_path / "out") == set()
    assert "Chromium does not work here" in capsys.readouterr().err
