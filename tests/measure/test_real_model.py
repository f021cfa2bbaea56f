"""A real pre-trained language model through the real notebook, served by vLLM and by llama.cpp (`make real-models`)."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from helpers.models.llm.tiny_texts import tiny_texts
from helpers.records.storage import Record, read_record
from helpers.study.catalogue import study
from tests.conftest import ROOT, Checkout, make_checkout

pytestmark = pytest.mark.xdist_group("engine")  # one engine at a time is enough for two cores

MODEL = "qwen2.5-coder-0.5b"
CHANCE = 1 / len(study().datasets["tiny"].labels)


@pytest.fixture(scope="module")
def copy(llm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the model's folder and the texts of the tiny dataset."""
    entry = study().models[MODEL]
    assert entry.family != "Traditional"
    made = ROOT / entry.checkpoint
    if not (made / "model.safetensors").is_file():
        pytest.skip(f"{entry.checkpoint} is not there: make real-models")
    copy = make_checkout(tmp_path_factory.mktemp("real"))
    folder = copy.root / entry.checkpoint
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(made)
    tiny_texts().frame().to_csv(copy.root / "tiny.csv.gz", index=False)
    return copy


def measured(copy: Checkout, llm_python: Path, **values: str) -> Record:
    """Measure one split of 60 texts, one at a time."""
    given = {
        "model": MODEL,
        "dataset": "tiny",
        "data_dir": ".",
        "splits": "1",
        "cool_down_s": "0",
        "threads": "1",
        **values,
    }
    done = copy.helpers(
        "measure",
        "llm",
        *(part for name, value in given.items() for part in ("-p", f"{name}={value}")),
        env={"COMPANION_LLM_PYTHON": str(llm_python)},
    )
    assert done.returncode == 0, done.stderr
    name = done.stdout.partition(":")[0]
    (file,) = copy.root.glob(f"runs/{given['campaign']}/{name}/record.json")
    return read_record(file)


@pytest.fixture(scope="module")
def by_vllm(copy: Checkout, llm_python: Path) -> Record:
    return measured(copy, llm_python, engine="vllm-eager", campaign="vllm", max_model_len="2048")


@pytest.fixture(scope="module")
def by_llama_cpp(copy: Checkout, llm_python: Path) -> Record:
    program = "import importlib.util, sys; sys.exit(importlib.util.find_spec('llama_cpp') is None)"
    if subprocess.run([str(llm_python), "-c", program], check=False).returncode:
        pytest.skip("llama-cpp-python is not there: make llama")
    return measured(copy, llm_python, engine="llama-cpp", campaign="llama", prefix_caching="true")


def test_vllm_serves_weights_read_back_from_a_quantised_file(by_vllm: Record) -> None:
    run, (item,) = by_vllm.run, by_vllm.splits
    gguf = study().models[MODEL].gguf
    assert gguf is not None
    assert (run.weights, run.dtype, run.gguf_sha256) == ("dequantised Q4_K_M", "bfloat16", gguf.file.sha256)
    assert item.accuracy is not None
    assert item.accuracy > 1.5 * CHANCE
    assert item.requests_sent == item.requests_answered == item.texts == 60
    assert item.replies is not None
    assert item.replies.client == item.replies.engine
    passed = {check.name: check.passed for check in by_vllm.checks}
    assert passed["no_cache"]
    assert passed["engine_counts_agree"]


def test_llama_cpp_serves_the_same_file_as_it_is_and_reads_the_same_prompts(
    by_vllm: Record, by_llama_cpp: Record
) -> None:
    run, (item,) = by_llama_cpp.run, by_llama_cpp.splits
    assert (run.weights, run.gguf_sha256) == ("Q4_K_M", by_vllm.run.gguf_sha256)
    assert run.served is not None
    assert run.served.prefix_caching
    assert item.tokens_in == by_vllm.splits[0].tokens_in
    assert item.accuracy is not None
    assert by_vllm.splits[0].accuracy is not None
    assert abs(item.accuracy - by_vllm.splits[0].accuracy) < 0.15
    passed = {check.name: check.passed for check in by_llama_cpp.checks}
    assert not passed["engine_counts_agree"], "it has no counters, and the record says so"


def test_both_engines_give_most_texts_the_same_category(
    copy: Checkout, by_vllm: Record, by_llama_cpp: Record
) -> None:
    def categories(record: Record) -> pd.Series:
        file = copy.root / f"runs/{record.run.campaign}/{record.run.run_id}/predictions.parquet"
        return pd.read_parquet(file).set_index("id")["category"].fillna("none")

    assert (categories(by_vllm) == categories(by_llama_cpp)).mean() > 0.8
