"""The language models of the catalogue: facts that fit each other, the paper's runs as campaigns, slips that are refused."""

import re

import pytest
from pydantic import ValidationError

from helpers.core import paths
from helpers.core.validation import Strict
from helpers.measure import parameters
from helpers.measure.parameters import LlmPlan
from helpers.records.hardware import Hardware
from helpers.records.storage import GpuInfo
from helpers.results import published
from helpers.study.catalogue import LanguageModel, machine_title, paper_models, study
from helpers.study.models import TraditionalModel
from tests.support.published_tables import read_published

LLMS = {name: item for name, item in study().models.items() if isinstance(item, LanguageModel)}
PAPERS = [name for name, item in LLMS.items() if item.in_paper]
LAPTOP = ("smollm2-360m", "qwen2.5-0.5b", "qwen2.5-1.5b")


def changed(model: Strict, **values: object) -> LanguageModel:
    return LanguageModel.model_validate(model.model_dump() | values)


# Facts


def test_the_papers_eleven_are_the_ones_that_its_table_1_links():
    assert {name: LLMS[name].checkpoint for name in PAPERS} == {
        row["model"]: row["hf_id"] for row in read_published("table_1_models")
    }


@pytest.mark.parametrize("name", [name for name in LLMS if name != "tiny"])
def test_a_model_has_the_size_that_its_name_says(name):
    size = re.search(r"(\d+(?:\.\d+)?)\s?([BM])\b", LLMS[name].title)
    if size is None:
        assert name in ("phi-3.5-mini", "phi-3.5-moe", "jamba-mini-1.5")
        return
    billions = float(size[1]) / (1000 if size[2] == "M" else 1)
    assert LLMS[name].parameters_b == pytest.approx(billions, rel=0.1)


def test_models_of_one_base_have_one_shape():
    shape = ("parameters_b", "layers", "hidden_size", "heads", "kv_heads")
    for derived, base in {
        "ds-llama-8b": "llama-3.1-8b",
        "ds-llama-70b": "llama-3.1-70b",
        "qwen2.5-7b": "qwen-2.5-7b",
        "qwen2.5-72b": "qwen-2.5-72b",
    }.items():
        assert [getattr(LLMS[derived], key) for key in shape] == [getattr(LLMS[base], key) for key in shape]


def test_only_the_mixtures_of_experts_use_fewer_parameters_for_a_token():
    sparse = {name: item.active_parameters_b for name, item in LLMS.items() if item.active_parameters_b}
    assert sparse == {"phi-3.5-moe": 6.6, "jamba-mini-1.5": 12.0}
    assert all(active < LLMS[name].parameters_b for name, active in sparse.items())


def test_the_cache_of_a_token_takes_two_numbers_per_layer_head_and_dimension():
    llama = LLMS["llama-3.1-8b"]  # 32 layers of 8 key-value heads of 128 numbers, twice, in 2 bytes
    assert llama.kv_bytes_per_token == 2 * 32 * 8 * 128 * 2 == 131_072
    assert LLMS["jamba-mini-1.5"].kv_bytes_per_token == llama.kv_bytes_per_token * 4 / 32


def test_the_deepseek_models_think_and_no_other_does():
    assert {name for name, item in LLMS.items() if item.reasoning} == {
        name for name, item in LLMS.items() if item.family == "Deepseek"
    }


def test_the_text_of_the_paper_says_qwen_2_5_and_both_generations_are_entries():
    stand_ins = {item.stands_for: item.checkpoint for item in LLMS.values() if item.stands_for}
    assert stand_ins == {
        "qwen-2.5-7b": "Qwen/Qwen2.5-7B-Instruct",
        "qwen-2.5-72b": "Qwen/Qwen2.5-72B-Instruct",
    }
    for linked in stand_ins:
        assert LLMS[linked].checkpoint.startswith("Qwen/Qwen2-")
        assert LLMS[linked].in_paper


def test_the_models_for_a_laptop_are_small_and_free_to_download():
    for name in LAPTOP:
        assert LLMS[name].parameters_b * 2 < 4  # GB in 16 bits
        assert LLMS[name].gated is False
        assert not LLMS[name].in_paper


# GPUs


def test_the_fewest_gpus_are_those_of_the_papers_tables():
    printed = {row["model"]: int(row["gpus"]) for row in read_published("table_b1") if row["model"] in LLMS}
    gpus_by_model = {name: LLMS[name].min_gpus["capella"] for name in PAPERS}
    assert {name: item.gpus for name, item in gpus_by_model.items()} == printed
    assert {item.source for item in gpus_by_model.values()} == {"table_b1"}
    inferred = {
        row["model"]: int(row["gpus_a30_v100_assumed"]) for row in read_published("inferred_b3_gpu_counts")
    }
    for machine in ("paula", "clara"):
        assert {
            name: item.min_gpus[machine].gpus
            for name, item in LLMS.items()
            if machine in item.min_gpus and item.min_gpus[machine].source == "inferred_b3"
        } == inferred


def test_a_model_fits_into_the_gpus_that_it_ran_on():
    for item in LLMS.values():
        for machine, least in item.min_gpus.items():
            machine_entry = study().machines[machine]
            assert item.parameters_b * 2 < least.gpus * machine_entry.gpu_memory_gb
            assert least.gpus <= least.nodes * machine_entry.gpus_per_node
            assert item.heads % (least.gpus // least.nodes) == 0


# Slips


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"revision": None}, "a checkpoint on the hub needs 'revision'"),
        ({"checkpoint": "./here"}, "a folder ('./...') has none"),
        ({"revision": "main"}, "should match pattern"),
        ({"heads": 5}, "'hidden_size' is a multiple of 'heads', or 'head_size' (head_dim) is needed"),
        ({"kv_heads": 5}, "'heads' is a multiple of 'kv_heads'"),
        ({"heads": 5, "head_size": 128}, "'heads' is a multiple of 'kv_heads'"),
        ({"parameters_b": 0}, "greater than 0"),
        ({"min_gpus": {"capella": {"gpus": 0, "source": "table_b1"}}}, "greater than 0"),
        ({"min_gpus": {"capella": {"gpus": 1, "source": "hearsay"}}}, "source"),
    ],
)
def test_a_fact_that_cannot_be_is_refused(values, expected):
    with pytest.raises(ValidationError, match=re.escape(expected)):
        changed(LLMS["llama-3.1-8b"], **values)


# Campaigns


@pytest.fixture
def plans(monkeypatch):
    """Plan a campaign on the machine of the paper that it is for."""

    def make(campaign: str, machine: str) -> list[LlmPlan]:
        machine_entry = study().machines[machine]
        gpu = GpuInfo(
            uuid="GPU-0", model=f"NVIDIA {machine_entry.gpu_model}", memory_gb=machine_entry.gpu_memory_gb
        )
        hardware = Hardware(
            machine_entry.cpu, 64, machine_entry.ram_gb, (gpu,) * machine_entry.gpus_per_node, "580"
        )
        monkeypatch.setattr(parameters, "detect", lambda: hardware)
        return [plan for plan in parameters.campaign_plans(campaign) if isinstance(plan, LlmPlan)]

    return make


@pytest.mark.parametrize("machine", ["capella", "paula", "clara"])
def test_the_campaign_of_a_machine_is_every_run_that_the_paper_shows_for_it(plans, machine):
    seen = published.observations()
    shown = seen[(seen["machine"] == machine) & seen["model"].isin(PAPERS)]
    with_gpus = shown[shown["gpus"].notna()]
    expected = {
        (row["model"], row["dataset"], int(row["gpus"]), int(row["nodes"])) for _, row in with_gpus.iterrows()
    }
    expected |= {
        (row["model"], row["dataset"], LLMS[row["model"]].min_gpus[machine].gpus, int(row["nodes"]))
        for _, row in shown[shown["gpus"].isna()].iterrows()
    }
    planned = plans(f"paper-{machine}", machine)
    runs = [
        (plan.parameters.model, plan.parameters.dataset, plan.gpus * plan.nodes, plan.nodes)
        for plan in planned
    ]
    assert len(runs) == len(set(runs)) == {"capella": 76, "paula": 7, "clara": 7}[machine]
    assert set(runs) == expected
    assert {plan.machine for plan in planned} == {machine}


@pytest.mark.parametrize("machine", ["capella", "paula", "clara"])
def test_the_papers_runs_are_asked_by_the_companions_protocol(plans, machine):
    for plan in plans(f"paper-{machine}", machine):
        asked, served = plan.generation, plan.served
        assert (asked.protocol, asked.concurrency, asked.output_mode, asked.temperature) == (
            "companion",
            1,
            "free",
            0.0,
        )
        assert (plan.parameters.splits, plan.parameters.shots, asked.json_fallback) == (10, 0, False)
        assert (served.weights, served.prefix_caching, served.quantisation) == ("checkpoint", False, "")
        assert (served.checkpoint, served.revision) == (plan.model.checkpoint, plan.model.revision)
        assert plan.language == ("de" if plan.parameters.dataset == "fktg" else "en")


def test_the_card_without_bfloat16_gets_another_dtype(plans):
    assert {plan.served.dtype for plan in plans("paper-clara", "clara")} == {"float16"}
    assert {plan.served.dtype for plan in plans("paper-paula", "paula")} == {"auto"}


def test_the_longest_answers_fit_into_the_context(plans):
    for machine in ("capella", "paula", "clara"):
        for plan in plans(f"paper-{machine}", machine):
            assert plan.served.max_model_len is not None
            answer = plan.generation.max_tokens + plan.generation.thinking_tokens
            assert answer + 2000 <= plan.served.max_model_len <= plan.model.context_length


def test_the_laptop_needs_no_gpu_and_the_sweep_goes_from_one_to_all_texts(plans):
    laptop = plans("laptop", "capella")
    assert {plan.gpus for plan in laptop} == {0}
    assert {plan.parameters.model for plan in laptop} == set(LAPTOP)
    sweep = plans("concurrency", "capella")
    assert {plan.gpus for plan in sweep} == {1}
    asked = {plan.generation.concurrency for plan in sweep}
    assert (min(asked), max(asked)) == (1, study().datasets["news"].split.test)


def test_a_campaign_compares_the_protocols_on_the_same_runs(plans):
    runs = [
        (plan.parameters.model, plan.generation.protocol, plan.generation.dspy_cache)
        for plan in plans("protocols", "capella")
    ]
    ways = [("companion", False), ("dspy-2025", False), ("dspy-2025", True)]
    assert sorted(runs) == sorted((model, *way) for model in ("phi-3.5-mini", "ds-llama-8b") for way in ways)


def test_the_tiny_model_is_looked_for_where_it_is_built(plans, monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    for plan in plans("tiny", "capella"):
        assert plan.served.checkpoint == plan.parameters.data_dir
        assert plan.served.revision is None


def test_a_traditional_model_of_ones_own_is_not_the_papers():
    entry = {"title": "Own", "features": "bow", "classifier": "xgboost"}
    assert not TraditionalModel.model_validate(entry).in_paper
    paper = [name for name in paper_models() if study().models[name].family == "Traditional"]
    assert len(paper) == 6


@pytest.mark.parametrize(
    ("machine", "title"),
    [
        ("capella", "Capella"),
        ("amd-epyc-2c", "AMD EPYC, 2 cores"),
        ("intel-xeon-16c-1x-nvidia-h200", "Intel Xeon, 16 cores, 1 x NVIDIA H200"),
        ("apple-m2-1c", "Apple M2, 1 core"),
        ("my-own-name", "my-own-name"),
    ],
)
def test_a_machine_is_named_as_the_paper_does_or_by_its_hardware(machine, title):
    assert machine_title(machine) == title
