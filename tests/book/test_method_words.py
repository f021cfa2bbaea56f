"""What the pages on measuring say of meters and constants, against the code and the data that they are about."""

import re
from types import SimpleNamespace

import pytest

from helpers.book.quoted_numbers import numbers
from helpers.core import paths
from helpers.figures.beyond.metering_overhead import protocol
from helpers.figures.beyond.power import power_decomposition
from helpers.results.overhead import load_meter_benches
from helpers.results.tables import load_tables
from helpers.statistics import power
from helpers.study.literature import load_other_studies

PAGE = (paths.ROOT / "book" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("load", [0.0, 0.1, 0.5, 1.0])
def test_the_page_gives_codecarbons_estimate_of_a_processor_with_its_floor(load: float) -> None:
    hardware = pytest.importorskip("codecarbon.external.hardware")
    match = re.search(r"thermal design power times ([\d.]+) \+ ([\d.]+) load³", PAGE)
    assert match
    floor, rest = map(float, match.groups())
    meter = SimpleNamespace(percent=lambda: 100 * load)
    cpu = SimpleNamespace(_tdp=200.0, _tracking_mode="machine", _cpu_load_meter=meter, _model="any")
    measured = hardware.CPU._get_power_from_cpu_load(cpu)
    watts = measured if isinstance(measured, float) else measured.W
    assert watts == pytest.approx(200 * (floor + rest * load**3))


def test_rapl_is_called_a_measurement_on_intels_processors_since_haswell() -> None:
    (row,) = re.findall(r"^\| `measured:rapl` .*$", PAGE, re.MULTILINE)
    assert "model of itself" not in row
    assert "since Haswell a measurement, before that a model {cite:p}`hackenberg_2015`" in row


def test_the_bench_names_the_power_and_the_energy_ratio_and_the_axis_the_one_that_it_shows() -> None:
    artefact = protocol(load_meter_benches())
    own_rows = artefact.data[artefact.data["tool"] == "ours"]
    assert own_rows["power_ratio"].min() == pytest.approx(0.982, abs=5e-4)
    assert own_rows["energy_ratio"].agg(["min", "max"]).to_list() == pytest.approx([0.937, 1.069], abs=5e-4)
    assert (
        "windows report 0.982 to 1.00 times the mean power and 0.937 to 1.07 times the energy"
        in artefact.finding
    )
    (panel,) = artefact.panels
    assert panel.figure.layout.yaxis.title.text == "Mean power, relative to a long run"
    assert panel.alt.startswith("Mean power by length")
    drawn = sorted(y for trace in panel.figure.data if trace.name == "this project" for y in trace.y)
    assert drawn == pytest.approx(sorted(own_rows["power_ratio"]))


def test_the_readme_of_the_published_values_gives_the_constants_that_the_page_computes() -> None:
    tables = load_tables()
    constants = power.constants(tables.observations, tables.results)
    readme = (paths.PUBLISHED / "README.md").read_text(encoding="utf-8")
    for constant in (constants.cpu, constants.ram_llm, constants.ram_traditional):
        assert f"{constant.mean_w:.1f} +/- {constant.bound_w:.1f} W" in readme


def test_another_studys_files_hold_the_constants_that_figure_2_implies() -> None:
    (elsewhere,) = load_other_studies().constants
    assert elsewhere.cpu_power_w == power.CPU_FALLBACK_W == 42.5
    assert elsewhere.ram_power_w == pytest.approx(0.375 * elsewhere.ram_gb)
    assert (elsewhere.codecarbon, elsewhere.tracking_mode) == ("2.3.1", "machine")
    artefact = power_decomposition(load_tables())
    assert "in the public files of another study" in artefact.body
    assert '<td class="number">430.78</td>' in artefact.body
    assert "data/study/other_studies.yaml" in artefact.sources()
    computed = numbers(load_tables())
    errata = (paths.ROOT / "book" / "errata.md").read_text(encoding="utf-8")
    section = errata.partition("## How energy was measured")[2]
    for name in ("elsewhere.cpu", "elsewhere.ram", "elsewhere.ram-gb", "elsewhere.w-per-gb"):
        assert name in computed
        assert f"{{number}}`{name}`" in section
