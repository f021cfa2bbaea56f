"""The page for those who analyse the tables themselves: its code runs as it stands there."""

import re

import pandas as pd

from helpers.core import paths
from helpers.results import Tables, load_tables
from helpers.results.tables import COLUMNS

PAGE = (paths.ROOT / "book" / "own_analysis.md").read_text(encoding="utf-8")


def test_the_example_runs_and_prints_a_table(capsys) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    values: dict[str, object] = {}
    exec(code, values)  # noqa: S102  (the example, as a reader would paste it)
    table = values["table"]
    assert isinstance(table, pd.DataFrame)
    assert table.notna().all(axis=None)
    assert "linear-bow" in capsys.readouterr().out


def test_what_the_page_names_is_there() -> None:
    tables = load_tables()
    assert isinstance(tables, Tables)
    for name in ("results", "split_results", "observations", "refused"):
        assert f"- `{name}`" in PAGE
        assert hasattr(tables, name)
    assert {"texts_per_s", "j_per_output_token", "j_per_token"} <= set(COLUMNS)


def test_values_per_token_are_those_of_the_record() -> None:
    results = load_tables().results
    rows = results[results["tokens_out"].notna() & results["energy_wh"].notna()]
    assert len(rows)
    joule = rows["energy_wh"].astype(float) * 3600
    tokens = rows["tokens_in"].astype(float) + rows["tokens_out"].astype(float)
    assert (rows["j_per_token"].astype(float) - joule / tokens).abs().max() < 1e-9
    assert (
        rows["texts_per_s"].astype(float) * rows["duration_s"].astype(float) - rows["texts"]
    ).abs().max() < 1e-6
    classifiers = results[(results["family"] == "Traditional") & (results["source"] != "published")]
    assert classifiers["j_per_token"].isna().all()
    assert classifiers["texts_per_s"].notna().all()
