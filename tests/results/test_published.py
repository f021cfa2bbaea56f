"""The files of data/published: the same numbers as the paper's tables, consistent with themselves."""

import csv
import os
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "data" / "published"

MODELS = {
    "linear-bow": "Linear BoW",
    "linear-tfidf": "Linear Tf-idf",
    "linear-embedding": "Linear Embedding",
    "xgboost-bow": "XGBoost BoW",
    "xgboost-tfidf": "XGBoost Tf-idf",
    "xgboost-embedding": "XGBoost Embedding",
    "llama-3.1-8b": "Llama 3.1 8B",
    "llama-3.1-70b": "Llama 3.1 70B",
    "qwen-2.5-7b": "Qwen 2.5 7B",
    "qwen-2.5-72b": "Qwen 2.5 72B",
    "phi-3.5-mini": "Phi 3.5 Mini",
    "phi-3.5-moe": "Phi 3.5 MoE",
    "jamba-mini-1.5": "Jamba Mini 1.5",
    "ds-llama-8b": "DS Llama 8B",
    "ds-llama-70b": "DS Llama 70B",
    "ds-qwen-14b": "DS Qwen 14B",
    "ds-qwen-32b": "DS Qwen 32B",
}
MACHINES = {"capella": "Capella", "paula": "Paula", "clara": "Clara"}
ROWS = {
    "capella_points": 38,
    "figure_1": 17,
    "figure_2": 51,
    "figure_3": 17,
    "figure_4": 6,
    "figure_5": 12,
    "figure_6": 11,
    "figure_6_lines": 3,
    "figure_7": 19,
    "inferred_b3_gpu_counts": 7,
    "table_1_models": 11,
    "table_2_clusters": 3,
    "table_3_regression_fktg": 12,
    "table_4_datasets": 4,
    "table_b1": 17,
    "table_b2": 8,
    "table_b3": 21,
    "table_b4": 34,
    "table_b5": 34,
    "table_b6_regression": 16,
}

Row = dict[str, str]
Grid = list[list[str]]


def read(name: str) -> list[Row]:
    with (PUBLISHED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def matching(rows: list[Row], **key: str) -> list[Row]:
    return [row for row in rows if all(row[column] == value for column, value in key.items())]


def one(rows: list[Row], **key: str) -> Row:
    matches = matching(rows, **key)
    if len(matches) != 1:
        raise ValueError(f"{len(matches)} rows with {key}")
    return matches[0]


def unique(rows: list[Row], column: str) -> list[str]:
    return list(dict.fromkeys(row[column] for row in rows))


def only(rows: list[Row], column: str) -> str:
    values = unique(rows, column)
    if len(values) != 1:
        raise ValueError(f"{column} has the values {values}")
    return values[0]


# The printed tables: every CSV is laid out as in print, then compared with the paper cell by cell.


def clean(cell: str) -> str:
    cell = cell.replace("<br>", " ").replace("\N{MINUS SIGN}", "-").replace("\N{ASTERISK OPERATOR}", "*")
    return re.sub(r"(?<=\d) (?=(GB|W)\b)", "", " ".join(cell.split()))


class Printed(NamedTuple):
    """A table of the paper as it stands in print."""

    grid: Grid
    caption: str


def parse_tables(markdown: str) -> dict[str, Printed]:
    """Pipe tables by number; the caption stands below; a row without a label continues the one above."""
    tables = {}
    for match in re.finditer(r"((?:^\|.*\n)+)((?:(?!\|).*(?:\n|\Z))*)", markdown, re.MULTILINE):
        grid: Grid = []
        for line in match[1].splitlines():
            cells = [clean(cell) for cell in line.strip()[1:-1].split("|")]
            if all(re.fullmatch(":?-{2,}:?", cell) for cell in cells):
                continue
            if grid and not cells[0]:
                grid[-1] = [f"{a} {b}".strip() for a, b in zip(grid[-1], cells, strict=True)]
            else:
                grid.append(cells)
        while not any(row[-1] for row in grid):
            grid = [row[:-1] for row in grid]
        caption = re.search(r"\bTable (B?\d) (.*)", match[2])
        assert caption, f"no caption below {grid[0]}"
        assert caption[1] not in tables, f"two tables {caption[1]}"
        tables[caption[1]] = Printed(grid, caption[2])
    return tables


def energy(row: Row) -> str:
    return row["energy_wh"] + (f"<{row['energy_wh_below']}" if row["energy_wh_below"] else "")


def layout_models(rows: list[Row]) -> Grid:
    body = [[MODELS[row["model"]], f"https://huggingface.co/{row['hf_id']}"] for row in rows]
    return [["Model", "Link"], *body]


def layout_machines(rows: list[Row]) -> Grid:
    columns = [
        [
            MACHINES[row["machine"]],
            row["hpc_center"],
            row["number_of_nodes"],
            f"{row['cpu_per_node']} {row['cpu_clock_ghz']}GHz",
            row["ram_per_node"],
            f"{row['gpu_per_node']} x {row['gpu_model']} ({row['gpu_memory_gb']}GB)",
            f"{row['gpu_max_power_w']}W",
        ]
        for row in rows
    ]
    labels = ["Cluster", "HPC center", "number of nodes", "CPU per node", "RAM per node", "GPU per node"]
    labels.append("single GPU max power consumption")
    return [list(line) for line in zip(labels, *columns, strict=True)]


def layout_regression(rows: list[Row], by: str, terms: dict[str, str]) -> Grid:
    if set(unique(rows, "term")) != set(terms):
        raise ValueError(f"unknown terms in {unique(rows, 'term')}")
    groups = unique(rows, by)
    lines = []
    for term, label in terms.items():
        matches = [one(rows, term=term, **{by: group}) for group in groups]
        lines.append(
            [label, *(f"{row['estimate']}{row['significance']} ({row['std_error']})" for row in matches)]
        )
    for column, label in {"observations": "Observations", "r2": "R2", "adjusted_r2": "Adjusted R2"}.items():
        lines.append([label, *(only(matching(rows, **{by: group}), column) for group in groups)])
    return lines


def layout_table_3(rows: list[Row]) -> Grid:
    labels = ["Duration (a)", "GPUs (b)", "Duration:GPUs (c)", "Constant (d)"]
    terms = dict(zip(["duration_a", "gpus_b", "duration_x_gpus_c", "constant_d"], labels, strict=True))
    heads = [f"{MACHINES[machine]} ({i})" for i, machine in enumerate(unique(rows, "machine"), 1)]
    return [["Dependent variable: Energy", *heads], *layout_regression(rows, "machine", terms)]


def layout_b6(rows: list[Row]) -> Grid:
    labels = ["Duration", "GPUs", "Duration:GPUs", "Constant"]
    terms = dict(zip(["duration", "gpus", "duration_x_gpus", "constant"], labels, strict=True))
    heads = [f"{dataset} ({i})" for i, dataset in enumerate(unique(rows, "dataset"), 1)]
    heads[0] = f"Dependent variable: Energy {heads[0]}"
    return [["", *heads], *layout_regression(rows, "dataset", terms)]


def layout_datasets(rows: list[Row]) -> Grid:
    # The text at hand has lost the underscores of the ids.
    body = [[row["dataset"], row["classification_task"], row["hf_id"].replace("_", " ")] for row in rows]
    return [["Name", "Classification Task", "ID on https://huggingface.co/datasets"], *body]


def layout_b1(rows: list[Row]) -> Grid:
    head = ["Model", "GPUs", "Energy (Wh)", "Accuracy", "Duration (s)", "Average Power (W)"]
    columns = ["accuracy", "duration_s", "average_power_w"]
    body = [[MODELS[row["model"]], row["gpus"], energy(row), *(row[c] for c in columns)] for row in rows]
    return [head, *body]


def layout_b2(rows: list[Row]) -> Grid:
    lines = [
        ["Model", "Duration (s) single", "double", "ratio", "Energy consumed (Wh) single", "double", "ratio"]
    ]
    for model in unique(rows, "model"):
        single, double = (one(rows, model=model, nodes=nodes) for nodes in "12")
        line = [MODELS[model]]
        for column in ("duration_s", "energy_wh"):
            ratio = f"{column.split('_')[0]}_ratio_double_to_single"
            if single[ratio]:
                raise ValueError(f"{model}: a ratio on the row of the single node")
            line += [single[column], double[column], double[ratio]]
        lines.append(line)
    return lines


def layout_b3(rows: list[Row]) -> Grid:
    cards = ["A30", "V100", "H100"]
    lines = [["Model", "A30", "Duration (s) V100", "H100", "Energy consumed (Wh) A30", "V100", "H100"]]
    for model in unique(rows, "model"):
        matches = [one(rows, model=model, gpu_model=card) for card in cards]
        lines.append(
            [MODELS[model], *(row[column] for column in ("duration_s", "energy_wh") for row in matches)]
        )
    return lines


def layout_two_datasets(rows: list[Row]) -> Grid:
    first, second = unique(rows, "dataset")
    lines = [["Dataset", first, "", second, ""], ["Model", *["Energy (Wh)", "Accuracy"] * 2]]
    for model in unique(rows, "model"):
        matches = [one(rows, model=model, dataset=dataset) for dataset in (first, second)]
        lines.append([MODELS[model], *(cell for row in matches for cell in (energy(row), row["accuracy"]))])
    return lines


LAYOUTS = {
    "table_1_models": layout_models,
    "table_2_clusters": layout_machines,
    "table_3_regression_fktg": layout_table_3,
    "table_4_datasets": layout_datasets,
    "table_b1": layout_b1,
    "table_b2": layout_b2,
    "table_b3": layout_b3,
    "table_b4": layout_two_datasets,
    "table_b5": layout_two_datasets,
    "table_b6_regression": layout_b6,
}
# Filled cells of each printed table, its labels included.
CELLS = {
    "table_1_models": 24,
    "table_2_clusters": 28,
    "table_3_regression_fktg": 32,
    "table_4_datasets": 15,
    "table_b1": 108,
    "table_b2": 35,
    "table_b3": 56,
    "table_b4": 93,
    "table_b5": 93,
    "table_b6_regression": 39,
}
# What the captions say and the table bodies do not.
CONTEXT = {
    "table_b1": {"dataset": "fktg", "machine": "capella", "nodes": "1"},
    "table_b2": {"machine": "capella", "gpus": "2"},
    "table_b3": {"nodes": "1"},
    "table_b4": {"machine": "capella", "nodes": "1"},
    "table_b5": {"machine": "capella", "nodes": "1"},
}
CAPTIONS = {
    "table_b1": ["FKTG", "Capella", "single node"],
    "table_b2": ["single vs. double node", "Capella"],
    "table_b3": ["single node"],
    "table_b4": ["Capella", "single node"],
    "table_b5": ["Capella", "single node"],
}


def number(table: str) -> str:
    return table.split("_")[1].upper()


def differences(table: str, rows: list[Row], printed: Grid) -> list[str]:
    try:
        grid = [[clean(cell) for cell in line] for line in LAYOUTS[table](rows)]
    except (KeyError, ValueError) as error:
        return [f"cannot be laid out as in print: {error!r}"]
    faults = [] if len(rows) == ROWS[table] else [f"{len(rows)} rows, not {ROWS[table]}"]
    if [len(line) for line in grid] != [len(line) for line in printed]:
        return [*faults, f"{len(grid)} lines, {len(printed)} in print, or lines of other lengths"]
    for transcribed, in_print in zip(grid, printed, strict=True):
        faults += [
            f"{in_print[0]}: {a!r}, in print {b!r}"
            for a, b in zip(transcribed, in_print, strict=True)
            if a != b
        ]
    return faults


@pytest.fixture(scope="module")
def paper() -> dict[str, Printed]:
    shared = Path(os.environ.get("COMPANION_SHARED", ROOT.parent / "shared"))
    text = shared / "paper" / "paper.md"
    if not text.is_file():
        pytest.skip(f"no {text}: set COMPANION_SHARED to the folder that holds paper/paper.md")
    return parse_tables(text.read_text(encoding="utf-8"))


def test_the_paper_has_the_tables_that_are_compared(paper):
    assert set(paper) == {number(table) for table in LAYOUTS}


@pytest.mark.parametrize("table", LAYOUTS)
def test_table_is_as_printed(table, paper):
    printed = paper[number(table)].grid
    assert differences(table, read(table), printed) == []
    assert sum(cell != "" for line in printed for cell in line) == CELLS[table]


@pytest.mark.parametrize("table", CAPTIONS)
def test_caption_says_what_the_table_body_does_not(table, paper):
    caption = paper[number(table)].caption
    assert [words for words in CAPTIONS[table] if words not in caption] == []


def changed(value: str) -> str:
    return value[:-1] + str((int(value[-1]) + 1) % 10) if value[-1:].isdigit() else value + "x"


@pytest.mark.parametrize("table", LAYOUTS)
def test_any_change_of_a_table_is_noticed(table):
    rows = read(table)
    printed = [[clean(cell) for cell in line] for line in LAYOUTS[table](rows)]
    assert differences(table, rows, printed) == []
    card_machine = {"machine"} if table == "table_b3" else set()  # checked below, with the cards
    unnoticed = []
    for i, row in enumerate(rows):
        for column in row.keys() - CONTEXT.get(table, {}).keys() - card_machine:
            copy = [*rows[:i], row | {column: changed(row[column])}, *rows[i + 1 :]]
            if not differences(table, copy, printed):
                unnoticed.append((i, column))
        assert differences(table, rows[:i] + rows[i + 1 :], printed), f"row {i} left out"
        assert differences(table, [*rows, row], printed), f"row {i} twice"
    assert unnoticed == []
    for i, line in enumerate(printed):
        for j, cell in enumerate(line):
            other = [*printed[:i], [*line[:j], changed(cell), *line[j + 1 :]], *printed[i + 1 :]]
            assert differences(table, rows, other)


def test_tables_are_parsed_as_they_are_printed():
    text = """
# Heading

|      | one    | two    |  |
|------|--------|:------:|--|
|      | (1)    | (2)    |  |
| a<br>b | 0.1*** | -0.20  |  |
|      | (0.01) | (3.00) |  |
| RAM  | 94 GB  | <0.01  |  |

Note: *p<0.1

Table B9 Caption, single node.

    - name: |-
"""
    text = text.replace("*", "\N{ASTERISK OPERATOR}").replace("-0", "\N{MINUS SIGN}0")
    grid = [["", "one (1)", "two (2)"], ["a b", "0.1*** (0.01)", "-0.20 (3.00)"], ["RAM", "94GB", "<0.01"]]
    assert parse_tables(text) == {"B9": Printed(grid, "Caption, single node.")}


@pytest.mark.parametrize("table", CONTEXT)
def test_context_columns_follow_the_caption(table):
    rows = read(table)
    assert rows
    for column, value in CONTEXT[table].items():
        assert only(rows, column) == value


@pytest.mark.parametrize("name", ["table_b3", "figure_5"])
def test_cards_belong_to_their_machines(name):
    machines = {row["gpu_model"].removeprefix("NVIDIA "): row["machine"] for row in read("table_2_clusters")}
    assert len(machines) == 3
    assert {row["gpu_model"]: row["machine"] for row in read(name)} == machines


# Derived columns: a printed number stands for an interval of half a unit of its last digit to both sides.


class Interval(NamedTuple):
    """What a rounded number can stand for."""

    low: Decimal
    high: Decimal

    def __add__(self, other):
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other):
        return Interval(self.low - other.high, self.high - other.low)

    def __mul__(self, other):
        return Interval(self.low * other.low, self.high * other.high)  # both positive

    def __truediv__(self, other):
        return Interval(self.low / other.high, self.high / other.low)  # both positive

    def meets(self, other):
        """Whether some number lies in both."""
        return self.low <= other.high and other.low <= self.high


def half_unit(text: str) -> Decimal:
    return Decimal((0, (5,), Decimal(text).as_tuple().exponent - 1))


def between(text: str, margin: str | Decimal = "0") -> Interval:
    centre, half = Decimal(text), half_unit(text) if margin == "0" else Decimal(margin)
    return Interval(centre - half, centre + half)


HOUR = Interval(Decimal(3600), Decimal(3600))


def implied_power(model: str) -> Interval:
    row = one(read("table_b1"), model=model)
    if row["energy_wh"]:
        energy_wh = between(row["energy_wh"])
    else:
        point = one(read("figure_1"), model=model)
        energy_wh = between(point["energy_wh"], point["energy_wh_uncertainty"])
        assert energy_wh.high < Decimal(row["energy_wh_below"])
        assert between(row["duration_s"]) == (Decimal("0.005"), Decimal("0.015"))
    return HOUR * energy_wh / between(row["duration_s"])


@pytest.mark.parametrize("model", MODELS)
def test_average_power_is_energy_by_duration(model):
    row = one(read("table_b1"), model=model)
    power, implied = between(row["average_power_w"]), implied_power(model)
    assert implied.meets(power)
    # How far off a power would be noticed: 0.2 % for the LLMs, 10 % with embeddings, a factor of 3 at 0.01 s.
    factor = Decimal("3.1") if not row["energy_wh"] else Decimal("1.1" if "-embedding" in model else "1.002")
    assert not implied.meets(Interval(power.low * factor, power.high * factor))
    assert not implied.meets(Interval(power.low / factor, power.high / factor))


@pytest.mark.parametrize("quantity", ["duration_s", "energy_wh"])
def test_ratios_of_two_nodes_to_one(quantity):
    rows = read("table_b2")
    models = unique(rows, "model")
    assert len(models) == 4
    for model in models:
        single, double = (one(rows, model=model, nodes=nodes) for nodes in "12")
        ratio = between(double[f"{quantity.split('_')[0]}_ratio_double_to_single"])
        implied = between(double[quantity]) / between(single[quantity])
        assert implied.meets(ratio)
        assert implied.high - implied.low < Decimal("0.01")


def test_components_of_figure_2():
    watts = {"CPU": "42.5", "RAM": "112.5"}  # the constants behind energy_wh_if_constant_power_inferred
    table, rows = read("table_b1"), [row for row in read("figure_2") if row["source"] != "not_visible"]
    assert len(rows) == 3 * 13
    for model in unique(rows, "model"):
        published = one(table, model=model)
        hours = between(published["duration_s"]) / HOUR
        total = between(published["average_power_w"]) * hours
        parts = {row["component"]: row for row in matching(rows, model=model)}
        assert list(parts) == ["CPU", "GPU", "RAM"]
        for column in ("energy_wh", "energy_wh_if_constant_power_inferred"):
            cpu, gpu, ram = (between(part[column]) for part in parts.values())
            assert (cpu + gpu + ram).meets(total)
        for component, part in parts.items():
            assert (between(part["energy_wh"]) / total).meets(between(part["share_of_total"]))
            for suffix in ("", "_uncertainty"):
                implied = between(part[f"energy_wh{suffix}"]) / hours
                assert implied.meets(between(part[f"average_power_w{suffix}"]))
            if component != "GPU":
                watt = "75.0" if "-embedding" in model and component == "RAM" else watts[component]
                constant = Interval(Decimal(watt), Decimal(watt)) * hours
                assert constant.meets(between(part["energy_wh_if_constant_power_inferred"]))


@pytest.mark.parametrize("gpus", ["1", "2", "4"])
def test_lines_of_figure_6_go_through_the_recovered_points(gpus):
    points = matching(read("capella_points"), nodes="1", gpus=gpus)
    x, y = ([float(row[column]) for row in points] for column in ("duration_s", "energy_wh"))
    slope, intercept = linear_regression(x, y)
    line = {
        key: float(value) for key, value in one(read("figure_6_lines"), gpus=gpus).items() if key != "source"
    }
    assert slope == pytest.approx(line["slope_wh_per_s"], abs=line["slope_wh_per_s_uncertainty"])
    assert intercept == pytest.approx(line["intercept_wh"], abs=line["intercept_wh_uncertainty"])


# Integrity of the files.

VALUES = {
    "model": set(MODELS),
    "dataset": {"fktg", "news", "yelp", "tomatoes", "emotion"},
    "machine": set(MACHINES),
    "panel": {"Deepseek", "Other LLM", "Traditional"},
    "component": {"CPU", "GPU", "RAM"},
    "gpu_model": {"A30", "V100", "H100", "NVIDIA A30", "NVIDIA V100", "NVIDIA H100"},
    "nodes": {"1", "2"},
    "gpus": {"1", "2", "4"},
    "significance": {"", "***"},
    "status": {"inferred_not_printed"},
    "source": {
        "digitised",
        "digitised_panel_limits",
        "digitised_partly_hidden",
        "digitised_row_labels_swapped_back",
        "not_visible",
        "table_b4",
    },
    "table": {"", "table_b1", "table_b2", "table_b3", "table_b4", "table_b5"},
    "duration_source": {"table_b1", "table_b2", "table_b3", "figure_3", "figure_6"},
    "energy_source": {"table_b1", "table_b2", "table_b3", "figure_1", "figure_3", "figure_6"},
}
TEXT = {"hf_id", "hpc_center", "cpu_per_node", "ram_per_node", "classification_task", "term", "evidence_h100"}
SIGNED = {"estimate", "intercept_wh"}
COUNTS = {"observations", "number_of_nodes", "gpu_per_node", "gpus_h100_inferred", "gpus_a30_v100_assumed"}
KEY = ("model", "dataset", "machine", "gpu_model", "nodes", "gpus", "component", "term")


def test_the_folder_holds_these_files():
    assert {path.stem for path in PUBLISHED.glob("*.csv")} == set(ROWS)
    listed = re.findall(
        r"^\| `(\w+)\.csv` \|", (PUBLISHED / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_file_is_plain_and_complete(name):
    text = (PUBLISHED / f"{name}.csv").read_bytes().decode("utf-8")
    assert text.isprintable() or set(re.findall(r"[^ -~]", text)) == {"\n"}
    lines = list(csv.reader(text.splitlines(), strict=True))
    assert len(lines) == ROWS[name] + 1
    assert {len(line) for line in lines} == {len(set(lines[0]))}
    assert all(cell == cell.strip() for line in lines for cell in line)
    assert len({tuple(line) for line in lines}) == len(lines)
    rows = read(name)
    keys = [tuple(row[column] for column in KEY if column in row) for row in rows]
    assert len(set(keys)) == len(rows)


@pytest.mark.parametrize("name", ROWS)
def test_ids_are_known_and_numbers_are_numbers(name):
    for row in read(name):
        for column, value in row.items():
            if column in VALUES:
                assert value in VALUES[column], column
            elif column in TEXT:
                assert re.fullmatch(r"[\w.-]+/[\w.-]+", value) if column == "hf_id" else value, column
            elif column in SIGNED:
                assert re.fullmatch(r"-?\d+\.\d+", value), column
            elif column in COUNTS:
                assert re.fullmatch(r"[1-9]\d*", value), column
            elif value:
                assert re.fullmatch(r"\d+(\.\d+)?", value), column
                assert Decimal(value) > 0, column
                if column.startswith(("accuracy", "share", "r2", "adjusted")):
                    assert Decimal(value) <= 1, column


@pytest.mark.parametrize("name", ROWS)
def test_values_and_their_uncertainties_come_together(name):
    for row in read(name):
        for column in row:
            if column.endswith("_uncertainty"):
                value, uncertainty = row[column.removesuffix("_uncertainty")], row[column]
                assert (value == "") == (uncertainty == "")
                assert not uncertainty or Decimal(uncertainty) > 0
                assert (value == "") == (row["source"] == "not_visible") if "source" in row else value


@pytest.mark.parametrize(
    ("name", "suffix"),
    [(name, "") for name in ("table_b1", "table_b4", "table_b5")]
    + [("figure_1", "_table_b1"), ("figure_7", "_table")],
)
def test_energy_is_printed_or_below_a_bound(name, suffix):
    for row in read(name):
        assert bool(row[f"energy_wh{suffix}"]) != bool(row[f"energy_wh_below{suffix}"])
        assert row[f"energy_wh_below{suffix}"] in {"", "0.01"}


def test_no_other_file_prints_a_bound():
    bounded = {name for name in ROWS if any("below" in column for column in read(name)[0])}
    assert bounded == {"table_b1", "table_b4", "table_b5", "figure_1", "figure_7"}


def test_every_model_is_measured_on_every_dataset():
    assert unique(read("table_b1"), "model") == list(MODELS)
    for name, datasets in {"table_b4": ["news", "yelp"], "table_b5": ["tomatoes", "emotion"]}.items():
        assert unique(read(name), "dataset") == datasets
        for dataset in datasets:
            assert [row["model"] for row in matching(read(name), dataset=dataset)] == list(MODELS)
    llms = set(list(MODELS)[6:])
    assert set(unique(read("table_1_models"), "model")) == llms
    panels = {row["model"]: row["panel"] for row in read("figure_2")}
    families = {m: "Deepseek" if m.startswith("ds-") else "Other LLM" for m in llms}
    assert panels == {model: families.get(model, "Traditional") for model in MODELS}


# Files that say the same thing agree.


def published_row(table: str, row: Row) -> Row:
    if table == "table_b3":
        match = one(read(table), model=row["model"], machine=row["machine"])
        if "gpus" in row:
            inferred = one(read("inferred_b3_gpu_counts"), model=row["model"])
            assert row["gpus"] == inferred["gpus_h100_inferred"]
        return match
    rows = read(table)
    columns = [c for c in ("model", "dataset", "machine", "nodes", "gpus") if c in row and c in rows[0]]
    return one(rows, **{column: row[column] for column in columns})


@pytest.mark.parametrize("quantity", ["duration", "energy"])
def test_capella_points_repeat_their_sources(quantity):
    column = {"duration": "duration_s", "energy": "energy_wh"}[quantity]
    points = read("capella_points")
    for row in points:
        origin = row[f"{quantity}_source"]
        match = published_row(origin, row)
        assert row[column] == match[column]
        expected = match.get(f"{column}_uncertainty") or half_unit(match[column])
        assert Decimal(row[f"{column}_uncertainty"]) == Decimal(expected)


def test_capella_points_are_all_the_runs_that_the_paper_shows():
    names = ("table_b1", "table_b2", "figure_1", "figure_2", "figure_3", "figure_4", "figure_6")
    shown = {(row["model"], row["nodes"], row["gpus"]) for name in names for row in read(name)}
    assert {(row["model"], row["nodes"], row["gpus"]) for row in read("capella_points")} == shown


COPIES = [
    *(
        (f"figure_{i}", column, f"{column}_table")
        for i in (3, 4, 5, 6)
        for column in ("duration_s", "energy_wh")
    ),
    *(("figure_7", column, f"{column}_table") for column in ("accuracy", "energy_wh", "energy_wh_below")),
    *(("figure_1", column, f"{column}_table_b1") for column in ("accuracy", "energy_wh", "energy_wh_below")),
    ("figure_2", "energy_wh", "total_energy_wh_table_b1"),
]


@pytest.mark.parametrize(("name", "column", "copy"), COPIES)
def test_figures_repeat_the_table_values(name, column, copy):
    compared = 0
    for row in read(name):
        table = row.get("table", "table_b1" if row["source"] != "not_visible" else "")
        if not table:
            assert row[copy] == ""
            continue
        expected = published_row(table, row)[column]
        assert (row[copy] == "") == (expected == "")
        if expected:
            assert Decimal(row[copy]) == Decimal(expected)
            compared += 1
    # Four models in Figure 1 and two points in Figure 7 have a bound only, and just these.
    bounds = {"figure_1": 4, "figure_7": 2}
    without_table = {"figure_2": 12, "figure_3": 9, "figure_6": 5}
    filled = ROWS[name] - without_table.get(name, 0) - (bounds.get(name, 0) if column == "energy_wh" else 0)
    assert compared == (bounds[name] if column == "energy_wh_below" else filled)


@pytest.mark.parametrize(
    ("name", "column", "copy"), [c for c in COPIES if c[0] != "figure_2" and "below" not in c[1]]
)
def test_digitised_values_agree_with_the_table_values(name, column, copy):
    rows = [row for row in read(name) if row[copy]]
    assert len(rows) >= 6
    for row in rows:
        measured = between(row[column], row[f"{column}_uncertainty"])
        assert measured.meets(between(row[copy])), row["model"]


@pytest.mark.parametrize("name", ["figure_3", "figure_6"])
def test_figure_rows_without_a_table_are_in_no_table(name):
    printed = {(row["model"], row["gpus"]) for row in read("table_b1")}
    printed |= {(row["model"], row["gpus_h100_inferred"]) for row in read("inferred_b3_gpu_counts")}
    for row in read(name):
        assert (row["table"] != "") == ((row["model"], row["gpus"]) in printed)


def test_tables_with_the_same_runs_print_the_same_values():
    single = {row["model"]: row for row in read("table_b1")}
    for row in matching(read("table_b2"), nodes="1"):
        assert row["gpus"] == single[row["model"]]["gpus"]
        assert all(row[column] == single[row["model"]][column] for column in ("duration_s", "energy_wh"))
    other_runs = set()
    for row in matching(read("table_b3"), gpu_model="H100"):
        b1 = single[row["model"]]
        same = [row[column] == b1[column] for column in ("duration_s", "energy_wh")]
        inferred = one(read("inferred_b3_gpu_counts"), model=row["model"])["gpus_h100_inferred"]
        assert same == [inferred == b1["gpus"]] * 2
        if not all(same):
            other_runs.add(row["model"])
    assert other_runs == {"phi-3.5-moe", "ds-qwen-14b", "ds-qwen-32b"}


@pytest.mark.parametrize("dataset", ["news", "yelp", "tomatoes", "emotion"])
def test_figure_7_shows_the_best_three_and_the_linear_embedding(dataset):
    rows = matching(read("table_b4") + read("table_b5"), dataset=dataset)
    scores = sorted((Decimal(row["accuracy"]) for row in rows), reverse=True)
    best = {row["model"] for row in rows if Decimal(row["accuracy"]) >= scores[2]}
    assert {row["model"] for row in matching(read("figure_7"), dataset=dataset)} == best | {
        "linear-embedding"
    }


def test_more_gpus_are_faster():
    points = matching(read("capella_points"), nodes="1")
    steps = 0
    for model in MODELS:
        durations = [
            float(row["duration_s"]) for row in sorted(matching(points, model=model), key=lambda r: r["gpus"])
        ]
        steps += len(durations) - 1
        assert all(later < earlier for earlier, later in pairwise(durations))
    assert steps == 17
