"""The results tables: published and measured values side by side, what is absent left absent."""

import json
import math
import shutil

import pandas as pd
import pytest

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.records.storage import RECORD, Record, read_record
from helpers.results import published
from helpers.results import tables as results
from helpers.results.accounting import energies
from helpers.study.catalogue import paper_models, study
from tests.records.test_record import (
    RUN_ID,
    change,
    component,
    energy_document,
    of_language_model,
    record_document,
)

QUANTITIES = {"accuracy", "duration_s", "energy_wh", "cpu_wh", "gpu_wh", "ram_wh"}


def put(folder, campaign, run_id, *changes):
    """Write a record with some changes where a run of that campaign writes it."""
    document = record_document(run_id=run_id, campaign=campaign)
    for apply in changes:
        apply(document)
    file = folder / campaign / run_id / RECORD
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def few_published(tmp_path_factory):
    """The first rows of the published tables, for tests of measured values: quick to load."""
    folder = tmp_path_factory.mktemp("published")
    for file in paths.PUBLISHED.glob("*.csv"):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = file.stem.startswith("inferred")
        (folder / file.name).write_text("".join(lines if whole else lines[:3]), encoding="utf-8")
    return folder


@pytest.fixture
def load(few_published, tmp_path):
    """Load the tables with the records that a test has put into its folder."""
    return lambda: results.load_tables(few_published, tmp_path / "committed", tmp_path / "live")


def sources(tables):
    """How many measured rows each source has."""
    return tables.results["source"].value_counts().drop("published").to_dict()


def one(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The published values alone."""
    empty = tmp_path_factory.mktemp("no-records")
    return results.load_tables(committed=empty, live=empty)


# Published values


def test_120_published_runs_in_the_columns_that_are_promised(tables):
    assert list(tables.results.columns) == list(results.COLUMNS)
    assert len(tables.results) == 120
    assert set(tables.results["source"]) == {"published"}
    assert len(tables.split_results) == 0
    assert tables.refused == []


def test_the_17_models_of_figure_1_are_there_once_with_their_printed_gpus(tables):
    rows = tables.results[tables.results["origin"].str.contains("table_b1")]
    assert sorted(rows["model"]) == sorted(paper_models())
    assert set(rows["dataset"]) == {"fktg"}
    assert set(rows["machine"]) == {"capella"}
    assert set(rows["nodes"]) == {1}
    assert set(rows["gpus_origin"]) == {"printed"}
    assert rows["energy_wh"].notna().all()
    assert (rows["texts"] == 189).all()


def test_a_run_stands_in_the_table_once(tables):
    key = ["model", "dataset", "machine", "gpus", "nodes"]
    assert not tables.results.duplicated(key).any()
    seen = tables.observations[key].drop_duplicates()
    assert len(seen) == len(tables.results)


def test_families_and_gpus_come_from_the_catalogue(tables):
    for _, row in tables.results.iterrows():
        assert row["family"] == study().models[row["model"]].family
        assert row["gpu_model"] == study().machines[row["machine"]].gpu_model


@pytest.mark.parametrize(
    ("model", "energy", "kind"),
    [
        ("linear-bow", 0.0003383, "digitised"),  # printed as <0.01
        ("linear-tfidf", 0.000132, "inferred"),  # its mark is hidden: from the limits of the panel
        ("linear-embedding", 0.1179, "digitised"),  # printed as 0.12: two decimals below 1 Wh
        ("llama-3.1-70b", 48.60, "printed"),
    ],
)
def test_a_printed_energy_is_preferred_unless_it_is_coarse(tables, model, energy, kind):
    row = one(tables.results[tables.results["origin"].str.contains("table_b1")], model=model)
    assert row["energy_wh"] == energy
    assert row["energy_kind"] == kind


def test_the_preference_holds_for_every_published_run(tables):
    def of_run(row):
        same = tables.observations
        for name in ("model", "dataset", "machine", "nodes"):
            same = same[same[name] == row[name]]
        return same[same["gpus"] == row["gpus"]] if pd.notna(row["gpus"]) else same[same["gpus"].isna()]

    for _, row in tables.results.iterrows():
        energies = of_run(row).query("quantity == 'energy_wh'")
        printed, other = (energies[(energies["kind"] == "printed") == yes] for yes in (True, False))
        exact = (printed["value"] >= 1).any()
        expected = {"printed"} if exact or other.empty else set(other["kind"])
        assert row["energy_kind"] in expected, row["origin"]
        accuracies = of_run(row).query("quantity == 'accuracy' and kind == 'printed'")
        if len(accuracies):
            assert row["accuracy"] in set(accuracies["value"])


def test_one_published_energy_is_inferred_and_its_accuracy_is_no_second_reading(tables):
    """Linear Tf-idf on FKTG: a label hides its mark in Figure 1."""
    inferred = tables.results[tables.results["energy_kind"] == "inferred"]
    assert list(zip(inferred["model"], inferred["dataset"], strict=True)) == [("linear-tfidf", "fktg")]
    seen = tables.observations[
        (tables.observations["model"] == "linear-tfidf") & (tables.observations["origin"] == "figure_1")
    ]
    assert list(zip(seen["quantity"], seen["kind"], strict=True)) == [("energy_wh", "inferred")]


def test_a_limit_is_kept_where_no_figure_resolves_it(tables):
    limits = tables.results[tables.results["energy_wh_below"].notna()]
    assert len(limits) > 0
    assert limits["energy_wh"].isna().all()
    assert (limits["energy_wh_below"] == 0.01).all()
    unknown = tables.results[tables.results["energy_wh"].isna()]
    assert unknown["energy_wh_below"].notna().all()


def test_absent_is_null_and_never_zero(tables):
    numbers = tables.results.select_dtypes("number")
    assert not (numbers.drop(columns=["parse_failures"], errors="ignore") == 0).any().any()
    # Tables B4 and B5 print no durations, and no table prints spreads, tokens or methods.
    assert tables.results.loc[tables.results["origin"] == "table_b4", "duration_s"].isna().all()
    for column in ("accuracy_sd", "energy_sd_wh", "tokens_in", "cpu_method", "checkpoint", "parse_failures"):
        assert tables.results[column].isna().all(), column


def test_every_value_of_a_published_row_is_an_observation_of_that_run(tables):
    seen = {}
    for row in tables.observations.itertuples():
        key = (row.model, row.dataset, row.machine, None if pd.isna(row.gpus) else int(row.gpus), row.nodes)
        seen.setdefault((key, row.quantity), []).append((row.origin, row.value))
    for row in tables.results.to_dict("records"):
        gpus = None if pd.isna(row["gpus"]) else int(row["gpus"])
        key = (row["model"], row["dataset"], row["machine"], gpus, row["nodes"])
        for quantity in QUANTITIES:
            observed = seen.get((key, quantity), [])
            if pd.isna(row[quantity]):
                assert all(pd.isna(value) for _, value in observed)
            else:
                assert any(v == row[quantity] and origin in row["origin"] for origin, v in observed), key


def test_energies_of_components_come_from_figure_2(tables):
    rows = tables.results[tables.results["gpu_wh"].notna()]
    figure = pd.read_csv(paths.PUBLISHED / "figure_2.csv")
    read_off = figure[(figure["component"] == "GPU") & (figure["source"] == "digitised")]
    assert len(read_off) > 10
    assert dict(zip(rows["model"], rows["gpu_wh"], strict=True)) == dict(
        zip(read_off["model"], read_off["energy_wh"], strict=True)
    )
    assert rows["origin"].str.contains("figure_2").all()
    total = rows["cpu_wh"] + rows["gpu_wh"] + rows["ram_wh"]
    assert (total / rows["energy_wh"]).between(0.85, 1.15).all()


def test_published_values_can_be_read_from_another_folder(tmp_path):
    folder = shutil.copytree(paths.PUBLISHED, tmp_path / "published")
    frame = pd.read_csv(folder / "table_b1.csv", dtype=str, keep_default_na=False)
    frame.loc[frame["model"] == "llama-3.1-70b", "energy_wh"] = "77.70"
    frame.to_csv(folder / "table_b1.csv", index=False)
    seen = published.observations(folder)
    row = one(seen, origin="table_b1", model="llama-3.1-70b", quantity="energy_wh")
    assert (row["value"], row["uncertainty"]) == (77.7, pytest.approx(0.005))


# Measured values

SPLITS = [(100, 0.75, 0.020), (110, 0.85, 0.030), (120, 0.95, 0.070)]


def with_splits(document):
    for split, (correct, duration_s, cpu_wh) in zip(document["splits"], SPLITS, strict=True):
        split["correct"], split["duration_s"] = correct, duration_s
        split["energy"]["cpu"]["energy_wh"] = cpu_wh


def test_means_and_standard_deviations_are_those_over_the_splits(load, tmp_path):
    file = put(tmp_path / "live", "demo", RUN_ID, with_splits)
    row = one(load().results, source="demo")
    accuracy = [100 / 189, 110 / 189, 120 / 189]
    assert row["accuracy"] == pytest.approx(sum(accuracy) / 3)
    assert row["accuracy_sd"] == pytest.approx(10 / 189)  # neighbours 10 apart: n-1 in the denominator
    assert row["duration_s"] == pytest.approx(0.85)
    assert row["duration_sd_s"] == pytest.approx(0.1)
    assert row["cpu_wh"] == pytest.approx(0.04)
    assert row["ram_wh"] == pytest.approx(0.01)
    assert row["energy_wh"] == pytest.approx(0.05)
    assert row["energy_sd_wh"] == pytest.approx(math.sqrt((0.02**2 + 0.01**2 + 0.03**2) / 2))
    assert row["ram_codecarbon_wh"] == pytest.approx(0.005)
    assert row["origin"] == paths.relative(file)
    assert (row["splits"], row["texts"], row["gpus"], row["gpus_origin"]) == (3, 189, 0, "measured")
    assert row["cpu_method"] == "estimated:cpu-load"
    assert row["checks_failed"] == "window_long_enough"
    assert row["parse_failures"] == 0


def test_what_was_not_measured_is_null(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID)
    row = one(load().results, source="demo")
    for column in ("gpu_wh", "tokens_in", "tokens_out", "energy_wh_below", "checkpoint", "prompt"):
        assert pd.isna(row[column]), column
    assert row["gpu_method"] == "missing"


def test_one_split_has_no_spread(load, tmp_path):
    def single(document):
        document["splits"], document["run"]["splits"] = document["splits"][:1], 1

    put(tmp_path / "live", "demo", RUN_ID, single)
    row = one(load().results, source="demo")
    assert pd.isna(row["accuracy_sd"])
    assert pd.isna(row["energy_sd_wh"])
    assert row["accuracy"] == pytest.approx(100 / 189)


def all_splits(name, method, energy_wh):
    def apply(document):
        for split in document["splits"]:
            split["energy"][name] = component(energy_wh, method)

    return apply


@pytest.mark.parametrize(
    ("cpu", "gpu", "ram", "kind"),
    [
        ("measured:rapl", "measured:nvml-counter", "measured:rapl", "measured"),
        ("measured:rapl", "missing", "measured:rapl", "measured"),
        ("measured:rapl", "missing", "estimated:ram-0.375W/GB", "measured"),
        ("estimated:cpu-load", "measured:nvml-counter", "estimated:ram-0.375W/GB", "partly-measured"),
        ("estimated:tdp", "missing", "estimated:ram-0.375W/GB", "estimated"),
        ("missing", "missing", "missing", "missing"),
    ],
)
def test_the_kind_of_an_energy_says_how_much_of_it_is_measured(load, tmp_path, cpu, gpu, ram, kind):
    changes = [
        all_splits(name, method, None if method == "missing" else 1.0)
        for name, method in (("cpu", cpu), ("gpu", gpu), ("ram", ram))
    ]
    put(tmp_path / "live", "demo", RUN_ID, *changes)
    row = one(load().results, source="demo")
    assert row["energy_kind"] == kind
    present = sum(method != "missing" for method in (cpu, gpu, ram))
    assert pd.isna(row["energy_wh"]) if present == 0 else row["energy_wh"] == pytest.approx(present)


def test_an_energy_that_one_split_lacks_has_no_mean(load, tmp_path):
    def lose(document):
        for name in ("cpu", "ram"):
            document["splits"][1]["energy"][name] = component(None, "missing")

    put(tmp_path / "live", "demo", RUN_ID, lose)
    row = one(load().results, source="demo")
    assert pd.isna(row["energy_wh"])
    assert pd.isna(row["energy_sd_wh"])
    assert pd.isna(row["cpu_wh"])


def test_an_energy_whose_parts_differ_between_splits_has_no_mean(load, tmp_path):
    put(
        tmp_path / "live", "demo", RUN_ID, change("splits", 1, "energy", "cpu", to=component(None, "missing"))
    )
    row = one(load().results, source="demo")
    assert pd.isna(row["cpu_wh"])
    assert pd.isna(row["energy_wh"]), "a sum with the CPU and one without it were averaged"


def test_codecarbons_ram_has_no_part_in_whether_an_energy_has_a_mean(load, tmp_path):
    lose = change("splits", 1, "energy", "ram_codecarbon", to=component(None, "missing"))
    put(tmp_path / "live", "demo", RUN_ID, lose)
    row = one(load().results, source="demo")
    assert pd.isna(row["ram_codecarbon_wh"])
    assert row["energy_wh"] == pytest.approx(0.03)


def test_split_results_hold_a_row_for_each_split(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID, with_splits)
    table = load().split_results
    assert list(table["split"]) == [0, 1, 2]
    assert list(table["accuracy"]) == [correct / 189 for correct, _, _ in SPLITS]
    assert list(table["duration_s"]) == [duration_s for _, duration_s, _ in SPLITS]
    assert list(table["energy_wh"]) == pytest.approx([cpu_wh + 0.01 for _, _, cpu_wh in SPLITS])
    assert table["gpu_wh"].isna().all()
    assert set(table["test_ids_sha256"]) == {"b" * 64}


def test_net_energy_is_beside_the_gross_and_every_cell_is_one_value(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID, with_splits)
    tables = load()
    row, per_split = one(tables.results, source="demo"), tables.split_results
    idle_wh = sum(
        part["energy_wh"] or 0 for name, part in energy_document().items() if name != "ram_codecarbon"
    )
    assert list(per_split["net_wh"]) == pytest.approx([wh - idle_wh for wh in per_split["energy_wh"]])
    assert row["net_wh"] == pytest.approx(per_split["net_wh"].mean())
    assert row["idle_power_w"] == 12.5
    for table in (tables.results, per_split):
        assert not table.map(lambda value: isinstance(value, (dict, list))).any(axis=None)


@pytest.mark.parametrize(("gpus", "energy", "kind"), [(0, True, "measured"), (1, False, "missing")])
def test_a_gpu_that_was_used_and_not_measured_leaves_no_energy(load, tmp_path, gpus, energy, kind):
    def measured_cpu_alone(document):
        document["run"]["gpus"] = gpus
        for split in document["splits"]:
            split["energy"] |= {
                "cpu": component(0.02, "measured:rapl"),
                "gpu": component(None, "missing"),
            }

    put(tmp_path / "live", "demo", RUN_ID, measured_cpu_alone)
    tables = load()
    row = one(tables.results, source="demo")
    assert row["energy_kind"] == kind
    assert pd.notna(row["energy_wh"]) == energy
    assert row["cpu_wh"] == pytest.approx(0.02)
    for table in (tables.results, tables.split_results):
        demo_rows = table[table["source"] == "demo"]
        assert energies(demo_rows, "measured_only").notna().all() == energy
        assert energies(demo_rows, "total_as_published").notna().all() == energy


def test_net_energy_is_unknown_where_one_side_lacks_a_component(load, tmp_path):
    put(
        tmp_path / "live",
        "demo",
        RUN_ID,
        change("splits", 0, "idle_energy", "cpu", to=component(None, "missing")),
    )
    assert pd.isna(one(load().results, source="demo")["net_wh"])


def test_a_record_without_idle_energy_has_no_net_energy(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID, with_splits, change("splits", 1, "idle_energy", to=None))
    assert pd.isna(one(load().results, source="demo")["net_wh"])


def test_observations_of_a_run_hold_the_values_of_its_row(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID, with_splits)
    tables = load()
    row = one(tables.results, source="demo")
    seen = tables.observations[tables.observations["source"] == "demo"].set_index("quantity")
    assert set(seen.index) == QUANTITIES
    for quantity in QUANTITIES:
        value = seen.loc[quantity, "value"]
        assert value == row[quantity] or (pd.isna(value) and pd.isna(row[quantity]))
        assert seen.loc[quantity, "origin"] == row["origin"]
    assert dict(seen["kind"]) == {
        "accuracy": "measured",
        "duration_s": "measured",
        "energy_wh": "estimated",
        "cpu_wh": "estimated",
        "gpu_wh": "missing",
        "ram_wh": "estimated",
    }


def test_measured_rows_leave_the_published_ones_as_they_are(tmp_path, tables):
    def rows(table):
        part = table[table["source"] == "published"]
        return part.astype(object).where(part.notna(), None).to_dict("records")

    put(tmp_path, "demo", RUN_ID)
    with_run = results.load_tables(committed=tmp_path / "none", live=tmp_path).results
    assert rows(with_run) == rows(tables.results)
    assert len(with_run) == 121
    assert list(with_run.columns) == list(results.COLUMNS)


def test_a_language_model_brings_its_tokens_failures_and_latencies(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID, of_language_model)
    tables = load()
    row = one(tables.results, source="demo")
    assert (row["engine"], row["prompt"], row["output_mode"]) == ("vllm", "de", "free")
    assert (row["tokens_in"], row["tokens_out"], row["parse_failures"]) == (10000, 2000, 4)
    assert (row["requests_sent"], row["requests_answered"]) == (189, 188)
    times_s = [row["latency_p50_s"], row["latency_p99_s"], row["ttft_s"]]
    assert times_s == pytest.approx([0.2, 0.4, 0.05])
    assert pd.isna(row["tokens_thinking"])
    assert pd.isna(row["prefix_hit_rate"])
    per_split = tables.split_results
    assert list(per_split["failures"]) == ["off-list:3 timeout:1 truncated:1"] * 3
    assert not per_split.map(lambda value: isinstance(value, (dict, list))).any(axis=None)


def test_examples_are_part_of_the_prompt(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID, of_language_model, change("run", "asked", "shots", to=4))
    assert one(load().results, source="demo")["prompt"] == "de, 4 examples"


def test_dummy_weights_have_no_accuracy_and_stand_in_the_tables_all_the_same(load, tmp_path):
    def dummies(document):
        document["run"]["weights"] = "dummy"
        for split in document["splits"]:
            split |= {"correct": None, "parse_failures": None}

    file = put(tmp_path / "live", "demo", RUN_ID, of_language_model, dummies)
    tables = load()
    row = one(tables.results, source="demo")
    assert row["weights"] == "dummy"
    for column in ("accuracy", "accuracy_sd", "parse_failures"):
        assert pd.isna(row[column]), column
    seen = one(tables.observations, source="demo", quantity="accuracy")
    assert pd.isna(seen["value"])
    assert seen["kind"] == "missing"
    assert tables.split_results["accuracy"].isna().all()
    assert "no accuracy (dummy weights), 0.75 s" in results.describe(read_record(file))


# Committed and live records


def test_a_promoted_run_is_shown_once_as_committed(load, tmp_path):
    file = put(tmp_path / "live", "demo", RUN_ID)
    shutil.copytree(tmp_path / "live", tmp_path / "committed")
    tables = load()
    row = one(tables.results[tables.results["source"] != "published"], source="demo")
    assert row["origin"] == str(tmp_path / "committed" / file.relative_to(tmp_path / "live"))
    assert len(tables.split_results) == 3


def test_a_live_campaign_with_the_name_of_a_committed_one_is_another_source(load, tmp_path):
    put(tmp_path / "committed", "demo", RUN_ID)
    put(tmp_path / "live", "demo", RUN_ID, change("created", to="2026-11-21T00:00:00Z"))
    put(tmp_path / "live", "demo", "another-run")
    put(tmp_path / "live", "trial", "third-run")
    assert sources(load()) == {"demo": 1, "demo (live)": 2, "trial": 1}


def test_runs_of_two_campaigns_that_ended_in_the_same_second_are_two(load, tmp_path):
    put(tmp_path / "committed", "demo", RUN_ID)
    put(tmp_path / "live", "trial", RUN_ID)
    assert sources(load()) == {"demo": 1, "trial": 1}


def test_a_refused_record_is_reported_and_in_no_table(load, tmp_path):
    put(tmp_path / "live", "demo", RUN_ID)
    bad = [
        put(tmp_path / "live", "demo", "bad-run", change("schema_version", to=6)),
        put(tmp_path / "committed", "demo", "worse-run", change("run", "modle", to="x")),
    ]
    tables = load()
    assert (tables.results["source"] != "published").sum() == 1
    assert len(tables.refused) == 2
    for file in bad:
        assert sum(line.startswith(f"{file}: ") for line in tables.refused) == 1


def test_folders_that_are_not_there_hold_nothing(load):
    assert sources(load()) == {}


# One source, one line


def test_a_source_is_selected(load, tmp_path, tables):
    put(tmp_path / "live", "demo", RUN_ID)
    both = load()
    for table in (both.results, both.observations):
        assert set(results.select(table, "demo")["source"]) == {"demo"}
        assert len(results.select(table, None)) == len(table)
    assert len(results.select(both.results, "published")) == len(both.results) - 1


def test_an_unknown_source_is_refused_with_the_nearest(tables):
    with pytest.raises(
        UserError,
        match=r"^publishd: no such source of the results tables \(nearest: 'published'; known: published\)$",
    ):
        results.select(tables.results, "publishd")
    with pytest.raises(UserError, match=r"^demo: no such source"):
        results.select(tables.split_results, "demo")


def test_a_run_is_described_in_a_line(tmp_path):
    record = read_record(put(tmp_path, "demo", RUN_ID, with_splits))
    assert results.describe(record) == (
        f"{RUN_ID}: accuracy 0.582 +/- 0.053, 0.85 s, 0.05 Wh (estimated) per pass, "
        "checks failed: window_long_enough"
    )


def test_a_run_without_energy_is_described_so(tmp_path):
    document = record_document()
    for split in document["splits"]:
        split["energy"] = dict.fromkeys(split["energy"], component(None, "missing"))
    assert "energy unknown per pass" in results.describe(Record.model_validate(document))
