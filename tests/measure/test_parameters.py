"""Parameters of a run: checked before anything expensive starts, and named so that runs differ."""

import ast
import inspect
import math
from dataclasses import replace
from pathlib import Path

import papermill
import pytest

from helpers.core import paths
from helpers.measure import parameters
from helpers.measure.parameters import (
    PARAMETERS,
    LlmParameters,
    LlmPlan,
    TraditionalParameters,
    campaign_plans,
    llm_plan,
    plan,
    traditional_plan,
)
from helpers.records.hardware import Hardware, resolve
from helpers.records.storage import GpuInfo
from helpers.study.catalogue import Campaign, study
from tests.conftest import refusal

LAPTOP = Hardware("AMD EPYC 9454 48-Core Processor", 2, 23.5, (), None)


def with_gpus(*models):
    return replace(
        LAPTOP,
        gpus=tuple(GpuInfo(uuid=f"GPU-{i}", model=model, memory_gb=80.0) for i, model in enumerate(models)),
    )


H100 = with_gpus("NVIDIA H100")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Plan for a machine that is the same everywhere; gives a way to choose another."""

    def choose(hardware):
        monkeypatch.setattr(parameters, "detect", lambda: hardware)

    choose(LAPTOP)
    return choose


# The notebook and the class


@pytest.mark.parametrize("notebook", PARAMETERS)
def test_the_notebook_declares_the_parameters_of_the_class_with_its_defaults(notebook):
    declared = papermill.inspect_notebook(str(paths.NOTEBOOKS / "measure" / f"{notebook}.ipynb"))
    assert list(declared) == list(PARAMETERS[notebook].model_fields)
    defaults = PARAMETERS[notebook]().model_dump()
    for name, item in declared.items():
        value = ast.literal_eval(item["default"])
        assert (value, type(value)) == (defaults[name], type(defaults[name])), name
        assert item["inferred_type_name"] == type(defaults[name]).__name__, name
        assert item["help"], name


def test_the_defaults_can_be_planned():
    planned = plan({}, "parameters")
    assert planned.parameters == TraditionalParameters()
    assert planned.machine == LAPTOP.name == "amd-epyc-9454-2c"
    assert planned.folder == paths.RUNS / "local" / planned.run_id


@pytest.mark.parametrize("notebook", PARAMETERS)
def test_every_parameter_is_described(notebook):
    fields = PARAMETERS[notebook].model_fields
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_defaults_of_a_language_model_can_be_planned_and_are_the_companions_protocol():
    planned = plan({}, "parameters", "llm")
    assert planned.parameters == LlmParameters()
    assert planned.folder == paths.RUNS / "local" / planned.run_id
    generation, served = planned.generation, planned.served
    assert (generation.concurrency, generation.output_mode, generation.temperature) == (1, "free", 0.0)
    assert (generation.json_fallback, generation.ignore_eos, generation.protocol) == (
        False,
        False,
        "companion",
    )
    assert (served.prefix_caching, served.weights, served.quantisation) == (False, "checkpoint", "")


# Refusals

SLIPS = [
    ({"modle": "linear-bow"}, "document: unknown key 'modle' (nearest: 'model'; known: "),
    ({"model": "linear-tfdif"}, "unknown traditional model 'linear-tfdif' (nearest: 'linear-tfidf'"),
    ({"model": "llama-3.1-8b"}, "llama-3.1-8b is a language model: it is measured by the notebook llm"),
    ({"model": 7}, "model: Input should be a valid string, found 7; write it in quotes"),
    ({"dataset": "new"}, "unknown dataset 'new' (nearest: 'news'"),
    ({"machine": "capela"}, "unknown machine 'capela' (nearest: 'capella'"),
    ({"device": "gpu"}, "device: unknown value 'gpu'"),
    ({"device": "CUDA"}, "device: unknown value 'CUDA'"),
    ({"splits": "10"}, "splits: Input should be a valid integer, found '10'"),
    ({"splits": 2.0}, "splits: Input should be a valid integer, found 2.0"),
    ({"splits": True}, "splits: Input should be a valid integer, found True"),
    ({"splits": 0}, "splits: Input should be greater than or equal to 1, found 0"),
    ({"splits": 11}, "splits: Input should be less than or equal to 10, found 11"),
    ({"window_s": "5"}, "window_s: Input should be a valid number, found '5'"),
    ({"window_s": 0}, "window_s: Input should be greater than 0, found 0"),
    ({"window_s": -1.0}, "window_s: Input should be greater than 0, found -1.0"),
    ({"window_s": math.nan}, "window_s: Input should be"),
    ({"window_s": math.inf}, "window_s: Input should be"),
    ({"window_s": 3601}, "window_s: Input should be less than or equal to 3600, found 3601"),
    ({"campaign": "../elsewhere"}, "campaign: String should match pattern"),
    ({"campaign": ""}, "campaign: String should match pattern"),
    ({"campaign": "two words"}, "campaign: String should match pattern"),
    ({"campaign": "demo\n"}, "campaign: String should match pattern"),
    ({"campaign": "published"}, "campaign: 'published' are the paper's own values"),
    ({"data_dir": None}, "data_dir: Input should be a valid string, found None"),
]


@pytest.mark.parametrize(("values", "expected"), SLIPS)
def test_a_slip_is_one_line_with_its_place(values, expected):
    line = refusal(plan, values, "-p")
    assert line.startswith("-p: ")
    assert expected in line


def test_a_whole_number_is_a_window_too():
    assert plan({"window_s": 5}, "-p").run_id == plan({"window_s": 5.0}, "-p").run_id


# From the notebook


def notebook_namespace(**values):
    """What `globals()` of the notebook holds when it plans: IPython's names, modules, functions, parameters."""
    return {
        "__name__": "__main__",
        "__annotations__": {"model": str},
        "_": "",
        "_ih": ["", "x"],
        "_oh": {},
        "_i1": "x",
        "In": ["", "x"],
        "Out": {},
        "get_ipython": lambda: None,
        "exit": object.__new__(type("ZMQExitAutocall", (), {"__call__": lambda self: None})),
        "quit": quit,
        "open": open,
        "parameters": parameters,
        "inspect": inspect,
        "Path": Path,
        **TraditionalParameters().model_dump(),
        **values,
    }


def test_the_parameters_are_found_among_all_other_names():
    planned = traditional_plan(notebook_namespace(model="xgboost-bow", splits=3))
    assert planned == plan({"model": "xgboost-bow", "splits": 3}, "parameters")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"modle": "xgboost-bow"}, "unknown key 'modle' (nearest: 'model'"),
        ({"seed": 1}, "unknown key 'seed'"),
        ({"options": {"a": 1}}, "unknown key 'options'"),
        ({"splits": "3"}, "splits: Input should be a valid integer, found '3'"),
        ({"window_s": "5 s"}, "window_s: Input should be a valid number, found '5 s'"),
        ({"model": None}, "model: Input should be a valid string, found None"),
    ],
)
def test_what_papermill_only_warns_of_is_refused(values, expected):
    line = refusal(traditional_plan, notebook_namespace(**values))
    assert line.startswith("parameters: ")
    assert expected in line


# Names of runs


def run_id(**values):
    return plan(values, "-p").run_id


@pytest.mark.parametrize(
    "values",
    [
        {"model": "linear-bow"},
        {"dataset": "news"},
        {"device": "cuda"},
        {"splits": 9},
        {"window_s": 5.5},
        {"model": "linear-embedding"},
        {"model": "linear-embedding", "checkpoint": "all-minilm-l6-v2"},
    ],
)
def test_a_setting_that_matters_gives_the_run_another_name(values):
    assert run_id(**values) != run_id()


def test_all_those_names_differ():
    names = [
        run_id(model=model, dataset=dataset, device=device, splits=splits, window_s=window_s)
        for model in ("linear-bow", "linear-embedding")
        for dataset in ("news", "yelp")
        for device in ("cpu", "cuda")
        for splits in (1, 2)
        for window_s in (1.0, 5.0)
    ]
    assert len(set(names)) == len(names) == 32


def test_another_machine_gives_the_run_another_name(machine):
    names = {run_id()}
    for hardware in (replace(LAPTOP, cpu_cores=4), replace(LAPTOP, cpu_model="Apple M3"), H100):
        machine(hardware)
        names.add(run_id())
    assert len(names) == 4


def test_another_embedding_gives_only_models_that_use_one_another_name():
    def names(model):
        return {run_id(model=model, checkpoint=name) for name in study().embeddings}

    assert len(names("linear-embedding")) == len(study().embeddings) > 1
    assert len(names("linear-bow")) == 1


def test_two_local_checkpoints_give_two_names(tmp_path):
    folders = [tmp_path / "before" / "model", tmp_path / "after" / "model"]
    assert len({run_id(model="linear-embedding", checkpoint=str(folder)) for folder in folders}) == 2


@pytest.mark.parametrize("values", [{"data_dir": "/data"}, {"output": "/out"}, {"campaign": "other"}])
def test_where_data_and_record_lie_does_not_change_the_name(values):
    assert run_id(**values) == run_id()


def test_a_name_says_dataset_and_model_and_is_a_plain_folder_name():
    for model in ("linear-bow", "xgboost-embedding"):
        for dataset in study().datasets:
            name = run_id(model=model, dataset=dataset)
            assert name.startswith(f"{dataset}-{model}-")
            assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_the_name_of_a_run_stays_what_it_was_or_finished_runs_are_measured_again():
    assert run_id() == "fktg-sample-linear-tfidf-6f8bf22c"


def test_the_record_appears_under_output_and_campaign(tmp_path, monkeypatch):
    values = {"campaign": "trial", "output": str(tmp_path)}
    assert plan(values, "-p").folder == tmp_path / "trial" / run_id()
    monkeypatch.chdir(tmp_path)
    assert plan({"output": "here"}, "-p").folder == tmp_path / "here" / "local" / run_id()


def test_only_models_that_need_a_checkpoint_have_one():
    for name, model in study().models.items():
        if model.family == "Traditional":
            checkpoint = plan({"model": name}, "-p").checkpoint
            assert (checkpoint is not None) == name.endswith("-embedding")


# Machines


@pytest.mark.parametrize(
    ("hardware", "present"),
    [
        (LAPTOP, "found no GPU"),
        (with_gpus("Tesla V100-SXM2-32GB"), "found Tesla V100-SXM2-32GB"),
        (with_gpus("NVIDIA H100", "NVIDIA A30"), "found NVIDIA H100, NVIDIA A30"),
    ],
)
def test_a_cluster_that_is_not_at_hand_is_refused(machine, hardware, present):
    machine(hardware)
    line = refusal(plan, {"machine": "capella"}, "-p")
    assert "machine=capella: it has GPUs of the model H100" in line
    assert present in line
    assert "machine=auto" in line


@pytest.mark.parametrize(
    ("name", "model"),
    [("capella", "NVIDIA H100"), ("paula", "NVIDIA A30"), ("clara", "Tesla V100-SXM2-32GB")],
)
def test_a_cluster_at_hand_is_taken_by_its_name(machine, name, model):
    machine(with_gpus(model, model))
    assert plan({"machine": name}, "-p").machine == name


def test_the_machine_at_hand_can_be_named():
    assert plan({"machine": LAPTOP.name}, "-p").machine == LAPTOP.name
    assert plan({"machine": LAPTOP.name}, "-p").run_id == run_id()


@pytest.mark.parametrize(
    ("cpu", "gpus", "name"),
    [
        ("AMD EPYC", (), "amd-epyc-2c"),
        ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", (), "intel-xeon-e5-2680-v4-2c"),
        ("AMD EPYC 9454 48-Core Processor", ("NVIDIA H100",) * 2, "amd-epyc-9454-2c-2x-nvidia-h100"),
        ("Prozessor Ä™", (), "prozessor-2c"),
        ("", (), "2c"),
    ],
)
def test_any_other_machine_is_named_after_its_hardware(cpu, gpus, name):
    hardware = replace(with_gpus(*gpus), cpu_model=cpu)
    assert hardware.name == name
    assert resolve("auto", hardware) == name


# Language models


def llm(**values):
    return plan(values, "-p", "llm")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"model": "linear-bow"},
            "linear-bow is a traditional model: it is measured by the notebook traditional",
        ),
        ({"device": "cuda"}, "unknown key 'device'"),
        ({"gpus": -1}, "gpus: Input should be greater than or equal to 0, found -1"),
        ({"nodes": 0}, "nodes: Input should be greater than or equal to 1, found 0"),
        ({"concurrency": 0}, "concurrency: Input should be greater than or equal to 1, found 0"),
        ({"language": "fr"}, "language: unknown value 'fr'"),
        ({"output_mode": "json"}, "output_mode: unknown value 'json'"),
        ({"weights": "fake"}, "weights: unknown value 'fake'"),
        ({"json_fallback": 1}, "json_fallback: Input should be a valid boolean, found 1"),
        ({"temperature": -0.1}, "temperature: Input should be greater than or equal to 0"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        *(
            ({name: 10**400}, f"{name}: Input should be less than or equal to 10000000, found 1000")
            for name in ("max_tokens", "thinking_tokens", "max_model_len")
        ),
        ({"quantisation": "--trust-remote-code"}, "quantisation: String should match pattern"),
        ({"dtype": "bfloat17"}, "dtype: unknown value 'bfloat17' (nearest: 'bfloat16'"),
    ],
)
def test_a_slip_with_a_language_model_is_one_line_with_its_place(values, expected):
    line = refusal(plan, values, "-p", "llm")
    assert line.startswith("-p: ")
    assert expected in line


@pytest.mark.parametrize(
    "values",
    [
        {"gpus": 1},
        {"nodes": 2},
        {"concurrency": 8},
        {"language": "en"},
        {"shots": 4},
        {"output_mode": "constrained"},
        {"max_tokens": 64},
        {"temperature": 0.5},
        {"json_fallback": True},
        {"engine": "transformers"},
        {"checkpoint": "/models/mine"},
        {"weights": "dummy"},
        {"dtype": "float16"},
        {"quantisation": "fp8"},
        {"prefix_caching": True},
        {"max_model_len": 2048},
        {"timeout_s": 60.0},
    ],
)
def test_a_setting_of_a_language_model_that_matters_gives_the_run_another_name(values):
    assert llm(**values).run_id != llm().run_id


@pytest.mark.parametrize(
    "values",
    [
        {"keep_answers": True},
        {"start_timeout_s": 60.0},
        {"thinking_tokens": 99},
        {"language": "de"},
        {"campaign": "other"},
        {"data_dir": "/data"},
    ],
)
def test_what_cannot_change_the_answers_does_not_change_the_name(values):
    assert llm(**values).run_id == llm().run_id


def test_a_model_that_thinks_gets_tokens_for_it_and_another_none():
    assert llm(model="ds-llama-8b", thinking_tokens=77).generation.thinking_tokens == 77
    assert llm(model="llama-3.1-8b", thinking_tokens=77).generation.thinking_tokens == 0


def test_dummy_weights_generate_all_tokens():
    planned = llm(weights="dummy")
    assert planned.generation.ignore_eos
    assert planned.served.weights == "dummy"


def test_the_checkpoint_is_the_pinned_one_of_the_catalogue_or_a_folder_without_a_revision(tmp_path):
    model = study().models["llama-3.1-8b"]
    served = llm(model="llama-3.1-8b").served
    assert (served.checkpoint, served.revision) == (model.checkpoint, model.revision)
    served = llm(model="llama-3.1-8b", checkpoint=str(tmp_path)).served
    assert (served.checkpoint, served.revision) == (str(tmp_path), None)
    assert Path(llm(model="tiny").served.checkpoint).is_relative_to(paths.ROOT)


def llm_on(hardware, **values):
    return LlmPlan(LlmParameters(**values), "some-machine", hardware)


def test_threads_of_an_engine_on_the_cpu_are_a_setting_that_names_the_run():
    both = llm_on(LAPTOP, model="qwen2.5-coder-0.5b")
    assert (both.engine_threads, both.served.threads, both.settings["threads"]) == (2, 2, 2)
    one = llm_on(LAPTOP, model="qwen2.5-coder-0.5b", threads=1)
    assert one.engine_threads == 1
    assert one.run_id != both.run_id
    assert llm_on(LAPTOP, model="qwen2.5-coder-0.5b", threads=2).run_id == both.run_id


@pytest.mark.parametrize("values", [{"gpus": 1}, {"nodes": 2}, {"engine": "http://127.0.0.1:1/v1"}])
def test_threads_are_not_chosen_where_gpus_other_nodes_or_other_programs_compute(values):
    planned = llm_on(H100, model="qwen2.5-coder-0.5b", **values)
    assert planned.engine_threads == 0
    assert "threads" not in planned.settings


@pytest.mark.parametrize(
    ("values", "weights", "served"),
    [
        ({}, "dequantised Q4_K_M", "qwen2.5-coder-0.5b"),
        (
            {"engine": "llama-cpp", "prefix_caching": True},
            "Q4_K_M",
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        ),
        ({"weights": "dummy"}, "dummy", "qwen2.5-coder-0.5b"),
        ({"checkpoint": "/somewhere/else"}, "real", "else"),
        ({"engine": "http://127.0.0.1:8000/v1"}, "unknown", "qwen2.5-coder-0.5b"),
    ],
)
def test_weights_from_a_quantised_file_are_told_from_a_models_own(values, weights, served):
    planned = llm_on(LAPTOP, model="qwen2.5-coder-0.5b", **values)
    assert planned.weights == weights
    assert Path(planned.served.checkpoint).name == served


def test_a_name_that_an_endpoint_serves_is_not_a_folder():
    served = llm(engine="http://127.0.0.1:8000/v1", checkpoint="owner/name").served
    assert (served.checkpoint, served.revision) == ("owner/name", None)


def test_the_instruction_is_in_the_language_of_the_dataset_unless_asked_otherwise():
    assert [llm(dataset=name).language for name in ("fktg-sample", "news")] == ["de", "en"]
    assert llm(dataset="news", language="de").language == "de"


def test_the_notebook_of_a_language_model_is_planned_from_its_names():
    namespace = notebook_namespace()
    of_traditional = TraditionalParameters.model_fields
    namespace = {name: value for name, value in namespace.items() if name not in of_traditional}
    planned = llm_plan(namespace | LlmParameters().model_dump() | {"concurrency": 8})
    assert planned == llm(concurrency=8)
    assert "unknown key 'concurency'" in refusal(llm_plan, namespace | {"concurency": 8})


def test_a_campaign_of_language_models_is_planned_for_its_notebook(monkeypatch):
    grid = [{"model": "tiny", "dataset": "tiny", "concurrency": [1, 8], "prefix_caching": [False, True]}]
    campaign = Campaign(title="t", description="d", notebook="llm", grid=grid)
    catalogue = study().model_copy(update={"campaigns": {"trial": campaign}})
    monkeypatch.setattr(parameters, "study", lambda: catalogue)
    planned = campaign_plans("trial")
    assert {item.notebook for item in planned} == {"llm"}
    assert len({item.run_id for item in planned}) == 4
