"""The benches of language models: what they leave can be read and shown, the clients are really compared, no GPU is one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import results_llm as benchmarks
from helpers.measure import execute
from helpers.measure.parameters import LlmPlan
from helpers.metering.counters import Absent
from helpers.metering.meter import Sources
from helpers.models.llm.checkpoint import read_config
from helpers.models.llm.engine import EngineSettings
from helpers.models.llm.server import serve
from helpers.models.llm.tiny_model import build_random
from helpers.results.overhead import Where
from helpers.results.tables import load_tables
from helpers.study import roofline
from helpers.study.catalogue import study
from results_llm import GpuLlmBench, GpuRun, LlmBench, Paper, Rate, Round
from tests.conftest import ROOT, refusal
from tests.figures.test_any_campaign import Invented, record_of

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the benches, which import each other by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import client
    import dummies
    import gpu_llm
    import llm
    import report

    class Scripts:
        pass

    loaded = Scripts()
    loaded.__dict__.update(client=client, dummies=dummies, gpu_llm=gpu_llm, llm=llm, report=report)
    return loaded


def run(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def bench_machine(**settings: Any) -> Where:
    return Where(
        created="2026-11-20T12:00:00Z",
        machine="box",
        cpu_model="AMD EPYC",
        cpu_cores=2,
        ram_gb=23.5,
        gpus=settings.get("gpus", []),
        git_commit=None,
        git_dirty=None,
    )


def a_round(ratio: float = 1.0, cpu_ms: float = 1.5, server: str = "stub", **settings: Any) -> Round:
    return Round(
        server=server,
        concurrency=32,
        texts=189,
        pairs=7,
        ours=Rate(texts_per_s=150 * ratio, cpu_ms=cpu_ms),
        bare=Rate(texts_per_s=150, cpu_ms=1.0),
        ratio=ratio,
        ratio_low=0.9 * ratio,
        ratio_high=1.1 * ratio,
        peer=settings.get("peer"),
        peer_problem=settings.get("problem"),
    )


def of_client(*rounds: Round, **settings: Any) -> LlmBench:
    return LlmBench(
        where=bench_machine(),
        stub_delay_s=0.2,
        client="DSPy over http.client",
        engine=settings.get("engine"),
        engine_problem=settings.get("problem"),
        rounds=list(rounds),
    )


def gpu_run(concurrency: int, duration_s: float, gpu_wh: float | None, model: str = "qwen-2.5-7b") -> GpuRun:
    return GpuRun(
        model=model,
        concurrency=concurrency,
        record=f"runs/bench-gpu-llm/run-{concurrency}/record.json",
        texts=189,
        tokens_in=594.5,
        tokens_out=22.0,
        duration_s=duration_s,
        energy_wh=None if gpu_wh is None else gpu_wh * 1.3,
        gpu_wh=gpu_wh,
        gpu_method="missing" if gpu_wh is None else "measured:nvml-counter",
        checks_failed=[],
    )


def of_gpu(*runs: GpuRun) -> GpuLlmBench:
    gpus = [{"uuid": "GPU-1", "model": "NVIDIA H200", "memory_gb": 139.0}]
    return GpuLlmBench(where=bench_machine(gpus=gpus), driver="1", engine="vllm", runs=list(runs))


# The client


def test_the_goals_are_a_ratio_and_processor_time_on_the_stub_alone():
    assert benchmarks.goals_reached(
        of_client(a_round(0.95, 3.9), a_round(0.1, 9.0, "engine"), engine="vllm 1")
    )
    assert not benchmarks.goals_reached(of_client(a_round(0.94)))
    assert not benchmarks.goals_reached(of_client(a_round(), a_round(0.94, 3.9, "real model")))
    assert benchmarks.goals_reached(of_client(a_round(), a_round(0.95, 9.0, "real model")))
    assert not benchmarks.goals_reached(of_client(a_round(1.0, 4.0)))
    assert "is missed" in benchmarks.client_verdict(of_client(a_round(), a_round(0.5)))
    assert "is reached" in benchmarks.client_verdict(of_client(a_round()))


def test_a_result_is_written_read_back_and_shown_with_every_client(scripts, tmp_path):
    bench = of_client(
        a_round(),
        a_round(server="engine", peer=Rate(texts_per_s=300.0, cpu_ms=None)),
        a_round(server="engine", problem="it did not start"),
        engine="vllm-eager 0.32.0",
    )
    file = scripts.report.write(bench, tmp_path)
    assert file.name == "llm-box.json"
    assert [item for _, item in benchmarks.load_llm_benches(tmp_path)] == [bench]
    text = file.with_suffix(".md").read_text(encoding="utf-8")
    assert "vllm-eager 0.32.0" in text
    assert "0.500" in text  # ours to vLLM's own
    assert "it did not start" in text
    assert not re.search(r"\b(nan|None)\b", text)


def test_a_result_with_a_typo_is_refused_in_one_line(tmp_path):
    (tmp_path / "llm-box.json").write_text('{"schema_version": 1, "wher": {}}', encoding="utf-8")
    assert "llm-box.json" in refusal(benchmarks.load_llm_benches, tmp_path)


def test_the_quick_bench_really_asks_the_stub_with_both_clients(tmp_path):
    done = run("llm.py", "--no-engine", "--concurrency", "189", "--pairs", "3", "--out", str(tmp_path))
    assert done.returncode in (0, 1), done.stderr  # a busy machine may miss the goals
    ((_, bench),) = benchmarks.load_llm_benches(tmp_path)
    assert [item.transport for item in bench.rounds] == ["http.client", "httpx"]
    for item in bench.rounds:
        assert (item.server, item.concurrency, item.pairs, item.texts) == ("stub", 189, 3, 189)
        assert item.ours.texts_per_s > 189 / 10
    assert "Over httpx it reaches at least" in done.stdout
    assert bench.engine is None
    assert "The engine was not asked" in done.stdout
    assert done.returncode == (0 if benchmarks.goals_reached(bench) else 1)


@pytest.mark.xdist_group("engine")
def test_all_three_clients_ask_a_real_engine_for_the_same_prompts(scripts, llm_python, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_LLM_PYTHON", str(llm_python))
    folder = build_random(tmp_path / "model").folder
    texts = list(scripts.llm._texts())[:16]
    asked = scripts.llm._rendered(folder, texts)
    with serve(EngineSettings(engine="vllm-eager", checkpoint=str(folder)), tmp_path / "log") as server:
        before = server.counters()
        both = scripts.client.compare(server.endpoint, 8, texts, 2, scripts.llm.TOKENS_OUT)
        between = server.counters()
        rate = scripts.llm.peer_rate(server.endpoint, folder, asked, 8)
        after = server.counters()
    assert all(item.texts_per_s > 0 for item in (*both.own, *both.bare))
    assert rate.texts_per_s > 0
    each_pass = (between - before).prompt_tokens / 6  # two pairs, and one pass of each that is not counted
    assert (after - between).prompt_tokens == each_pass
    assert (after - between).requests == len(texts)


# Dummy weights on a GPU


def test_without_a_gpu_the_bench_ends_with_one_line_before_anything_starts(tmp_path):
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    done = run("gpu_llm.py", "--out", str(tmp_path / "results"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: no GPU with an energy counter")
    assert not (tmp_path / "results").exists()


def test_the_line_says_why_there_is_no_gpu_and_what_to_do(scripts):
    absent = Absent("gpu", "nvml", "no driver", "install it")
    line = refusal(scripts.gpu_llm.require_gpu, Sources(counters=(), absent=(absent,)))
    assert "no driver; install it" in line


@pytest.mark.parametrize("model", ["qwen-2.5-7b", "llama-3.1-8b"])
def test_a_configuration_has_as_many_parameters_as_its_model(scripts, model):
    config = json.loads((scripts.dummies.CONFIGS / f"{model}.json").read_text(encoding="utf-8"))
    entry = study().models[model]
    assert read_config(config, None).parameters == pytest.approx(1e9 * entry.parameters_b, rel=0.005)
    assert config["num_hidden_layers"] == entry.layers
    assert config["num_key_value_heads"] == entry.kv_heads


@pytest.mark.parametrize("model", ["qwen-2.5-7b", "llama-3.1-8b"])
def test_a_dummy_checkpoint_asks_about_as_many_tokens_as_the_paper_and_fits_its_configuration(
    scripts, tmp_path, model
):
    from transformers import AutoTokenizer

    config = scripts.dummies.CONFIGS / f"{model}.json"
    tokens = scripts.dummies.write_dummy(config, tmp_path / "dummy")
    assert tokens == pytest.approx(roofline.TOKENS_IN, rel=0.01)
    config_json = json.loads((tmp_path / "dummy" / "config.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "dummy")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (
        config_json["bos_token_id"],
        config_json["eos_token_id"],
    )
    assert len(tokenizer) < config_json["vocab_size"]
    assert not list((tmp_path / "dummy").glob("*.safetensors"))


def test_the_bench_measures_each_model_with_each_concurrency_through_the_measurement_path(
    scripts, tmp_path, monkeypatch
):
    plans: list[LlmPlan] = []

    def measure(plan: LlmPlan) -> Any:
        plans.append(plan)
        chosen = plan.parameters
        return record_of(
            Invented(chosen.model, chosen.dataset, concurrency=chosen.concurrency, splits=1, dummy=True), 0
        )

    monkeypatch.setattr(execute, "measure", measure)
    monkeypatch.setattr(scripts.gpu_llm, "write_dummy", lambda _config, _folder: 600.0)
    chosen = scripts.gpu_llm.Settings(scripts.gpu_llm.MODELS, (1, 64))
    bench = scripts.gpu_llm.bench(chosen)
    assert [(item.model, item.concurrency) for item in bench.runs] == [
        (model, count) for model in scripts.gpu_llm.MODELS for count in (1, 64)
    ]
    assert {plan.generation.ignore_eos for plan in plans} == {True}
    assert {plan.parameters.max_tokens for plan in plans} == {22}
    assert {plan.served.weights for plan in plans} == {"dummy"}
    assert {plan.parameters.splits for plan in plans} == {1}
    assert len({plan.run_id for plan in plans}) == 4
    assert {item.tokens_out for item in bench.runs} == {22.0}


def test_the_table_has_the_paper_and_the_bounds_beside_the_runs(scripts, tmp_path):
    bench = of_gpu(gpu_run(1, 30.0, 3.0), gpu_run(64, 3.0, 0.5), gpu_run(189, 2.5, 0.4))
    file = scripts.report.write(bench, tmp_path)
    assert file.name == "gpu-llm-box.json"
    assert [item for _, item in benchmarks.load_gpu_llm_benches(tmp_path)] == [bench]
    papers = {"qwen-2.5-7b": benchmarks.published(load_tables().results, "qwen-2.5-7b")}
    table = benchmarks.gpu_llm_table(bench, papers).set_index(["What", "Texts at a time"])
    assert table.loc[("the paper, 1 x H100", "1 (inferred)"), "Energy (Wh)"] == "5.58"
    assert table.loc[("the paper, 1 x H100", "1 (inferred)"), "Texts/s"] == "5.21"
    assert table.loc[("measured, dummy weights", "64"), "times"] == "10"
    assert table.loc[("measured, dummy weights", "64"), "times less"] == "6.0"
    assert ("bound, NVIDIA H200 SXM", "189") in table.index
    assert ("bound, NVIDIA H100 SXM", "1") in table.index
    assert not re.search(r"\b(nan|None)\b", file.with_suffix(".md").read_text(encoding="utf-8"))


def test_the_aim_is_reached_only_with_both_gains():
    single = gpu_run(1, 30.0, 3.0)
    assert "is reached" in benchmarks.gpu_llm_verdict(of_gpu(single, gpu_run(64, 4.0, 0.6)))
    assert "is missed" in benchmarks.gpu_llm_verdict(of_gpu(single, gpu_run(64, 5.0, 0.6)))
    assert "is missed" in benchmarks.gpu_llm_verdict(of_gpu(single, gpu_run(64, 4.0, 0.7)))
    assert "is missed" in benchmarks.gpu_llm_verdict(of_gpu(single, gpu_run(64, 4.0, None)))
    assert "not both measured" in benchmarks.gpu_llm_verdict(of_gpu(single, gpu_run(32, 4.0, 0.6)))


@given(
    st.lists(
        st.tuples(st.integers(1, 500), st.floats(0.1, 1e4), st.floats(0.01, 1e3) | st.none()), min_size=1
    )
)
def test_any_result_gives_a_table_and_a_verdict(cells):
    bench = of_gpu(*(gpu_run(*item) for item in cells))
    paper = Paper(texts=189, duration_s=36.28, energy_wh=5.58, gpus=1, gpu_model="H100")
    table = benchmarks.gpu_llm_table(bench, {"qwen-2.5-7b": paper})
    assert len(table) == len(cells) + 5  # the paper, and two bounds of two GPUs
    assert benchmarks.gpu_llm_verdict(bench).endswith(".")
