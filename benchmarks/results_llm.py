"""Results of the benches of language models (benchmarks/): what their files hold, and the tables made of them.

`make bench-llm` compares our client with others; `make bench-gpu-llm` asks architectures with dummy weights, one text
at a time and many, on a GPU.
"""

from pathlib import Path
from typing import Literal, TypeVar

import pandas as pd
from pydantic import Field

from helpers.core import paths, units
from helpers.core.validation import Strict, parse_json
from helpers.results.overhead import Where
from helpers.study import roofline
from helpers.study.catalogue import LanguageModel, model_title, study

MIN_RATIO = 0.95
"""Texts per second of our client over those of a bare one, against a stub and with a pre-trained model: at least."""
MAX_CPU_MS = 4.0
"""Processor time that our client may take for a request, in ms."""
LESS_ENERGY, MORE_TEXTS = 5.0, 7.0
"""What many texts at a time should gain against one: times less energy, times more texts per second."""
MANY = 64
"""Texts at a time from which on they should."""
Transport = Literal["http.client", "httpx"]
REPLACES = 0.95
"""Of a bare client's texts per second: httpx would take the place of the package's own connections from there on."""


class Rate(Strict):
    """How fast a client was: the median of its rounds."""

    texts_per_s: float = Field(gt=0)
    cpu_ms: float | None = Field(ge=0)
    """Processor time of the client per text; null where it is not known."""


class Round(Strict):
    """A server asked with one concurrency: by our client and by a bare one in turn, and by vLLM's own."""

    server: Literal["stub", "engine", "real model"]
    """The stub, or the engine with the tiny model or with a pre-trained one."""
    transport: Transport = "http.client"
    """What carries our client's requests."""
    concurrency: int = Field(ge=1)
    texts: int = Field(ge=1)
    """In each pair, by each client."""
    pairs: int = Field(ge=1)
    ours: Rate
    bare: Rate
    ratio: float = Field(gt=0)
    """Texts per second, ours by bare: the median of the pairs."""
    ratio_low: float = Field(gt=0)
    """95 % interval of the median, by bootstrap."""
    ratio_high: float = Field(gt=0)
    peer: Rate | None
    """vLLM's own client, `vllm bench serve`, on the same prompts; null where it was not asked."""
    peer_problem: str | None
    """Why it gave nothing."""


class LlmBench(Strict):
    """The file that `make bench-llm` writes."""

    schema_version: Literal[1] = 1
    where: Where
    stub_delay_s: float = Field(gt=0)
    """After which the stub answers."""
    client: str
    """What sends our requests, as a record names it."""
    engine: str | None
    """The engine and its version; null where it was not asked."""
    engine_problem: str | None
    real_model: str | None = None
    """The pre-trained model that the engine served, too; null where its checkpoint was not there."""
    rounds: list[Round]


class GpuRun(Strict):
    """An architecture with dummy weights, asked with one concurrency: what its record says of a pass."""

    model: str
    concurrency: int = Field(ge=1)
    record: str
    """The record, from the root of the project."""
    texts: int = Field(ge=1)
    tokens_in: float | None
    """Per text."""
    tokens_out: float | None
    duration_s: float = Field(gt=0)
    energy_wh: float | None
    gpu_wh: float | None
    gpu_method: str
    checks_failed: list[str]


class GpuLlmBench(Strict):
    """The file that `make bench-gpu-llm` writes."""

    schema_version: Literal[1] = 1
    where: Where
    driver: str | None
    engine: str
    runs: list[GpuRun]


class Paper(Strict):
    """What the paper prints of a model on FKTG, one text at a time (Table B1)."""

    texts: int
    duration_s: float
    energy_wh: float
    gpus: int
    gpu_model: str


BenchT = TypeVar("BenchT", LlmBench, GpuLlmBench)


def load_llm_benches(folder: Path = paths.BENCHES) -> list[tuple[str, LlmBench]]:
    """Read the results of `make bench-llm`, each with the path of its file, by machine.

    Raises:
        UserError: one line with the file and the fault.
    """
    return _load(folder, "llm", LlmBench)


def load_gpu_llm_benches(folder: Path = paths.BENCHES) -> list[tuple[str, GpuLlmBench]]:
    """Read the results of `make bench-gpu-llm` in the same way."""
    return _load(folder, "gpu-llm", GpuLlmBench)


def published(results: pd.DataFrame, model: str) -> Paper:
    """Return what the paper prints of a model, from the rows of `results`."""
    rows = results[(results["source"] == "published") & results["origin"].str.contains("table_b1")]
    row = rows[rows["model"] == model].iloc[0]
    return Paper(
        texts=int(row["texts"]),
        duration_s=float(row["duration_s"]),
        energy_wh=float(row["energy_wh"]),
        gpus=int(row["gpus"]),
        gpu_model=str(row["gpu_model"]),
    )


def client_table(bench: LlmBench) -> pd.DataFrame:
    """Return the clients side by side, as text, one row per server and concurrency."""
    return pd.DataFrame(
        {
            "Server": {
                "stub": f"stub, {units.duration(bench.stub_delay_s)}",
                "engine": f"{bench.engine}, tiny",
                "real model": f"{bench.engine}, {bench.real_model}",
            }[item.server],
            "Over": item.transport,
            "Texts at a time": item.concurrency,
            "Texts": item.texts,
            "Ours (texts/s)": units.significant(item.ours.texts_per_s, 3),
            "Bare httpx (texts/s)": units.significant(item.bare.texts_per_s, 3),
            "Ratio": f"{item.ratio:.3f}",
            "95 % interval": f"{item.ratio_low:.3f} to {item.ratio_high:.3f}",
            "Pairs": item.pairs,
            "CPU, ours (ms/text)": _significant(item.ours.cpu_ms),
            "CPU, bare (ms/text)": _significant(item.bare.cpu_ms),
            "vllm bench serve (texts/s)": _significant(item.peer.texts_per_s if item.peer else None),
            "Ours to it": _significant(item.ours.texts_per_s / item.peer.texts_per_s if item.peer else None),
            "Problem": item.peer_problem,
        }
        for item in bench.rounds
    )


def goals_reached(bench: LlmBench) -> bool:
    """Say whether our client is as fast as it should be against the stub and with a real model, and as thrifty on the stub."""
    stub = _on_the_stub(bench, "http.client")
    fast = all(item.ratio >= MIN_RATIO for item in [*stub, *_with_a_real_model(bench)])
    return fast and all((item.ours.cpu_ms or 0.0) < MAX_CPU_MS for item in stub)


def client_verdict(bench: LlmBench) -> str:
    """Say how fast and how thrifty our client is against the stub."""
    stub = _on_the_stub(bench, "http.client")
    if not stub:
        return "The stub was not asked."
    ratio = min(item.ratio for item in stub)
    cpu_ms = max(item.ours.cpu_ms or 0.0 for item in stub)
    real = _with_a_real_model(bench)
    with_a_model = f", and {min(item.ratio for item in real):.2f} with {bench.real_model}" if real else ""
    return (
        f"Against the stub our client reaches at least {ratio:.2f} of the bare one's texts per second{with_a_model}, "
        f"and takes at most "
        f"{cpu_ms:.2g} ms of processor time per text; the goal, {MIN_RATIO:g} and less than {MAX_CPU_MS:g} ms, is "
        f"{'reached' if goals_reached(bench) else 'missed'}.{_httpx_verdict(bench)}"
    )


def _with_a_real_model(bench: LlmBench) -> list[Round]:
    return [item for item in bench.rounds if item.server == "real model"]


def _httpx_verdict(bench: LlmBench) -> str:
    """Say whether httpx could take the place of the package's own connections; nothing where it was not compared."""
    stub = _on_the_stub(bench, "httpx")
    if not stub:
        return ""
    ratio = min(item.ratio for item in stub)
    return (
        f" Over httpx it reaches at least {ratio:.2f}; from {REPLACES:g} on httpx would replace the package's own "
        f"connections, which is {'so' if ratio >= REPLACES else 'not so'}."
    )


def _on_the_stub(bench: LlmBench, transport: Transport) -> list[Round]:
    return [item for item in bench.rounds if item.server == "stub" and item.transport == transport]


def gpu_llm_table(bench: GpuLlmBench, papers: dict[str, Paper]) -> pd.DataFrame:
    """Return Wh per 189 texts and texts per second beside the paper's and the computed bounds, as text."""
    rows = []
    for model in dict.fromkeys(run.model for run in bench.runs):
        runs = sorted((run for run in bench.runs if run.model == model), key=lambda run: run.concurrency)
        single = next((run for run in runs if run.concurrency == 1), None)
        rows += [_gpu_row(run, single) for run in runs]
        rows += _beside(runs[-1], bench, papers[model])
    return pd.DataFrame(rows, columns=list(_GPU_COLUMNS))


def gpu_llm_verdict(bench: GpuLlmBench) -> str:
    """Say what many texts at a time gain against one, and whether that is what was aimed at."""
    sentences = []
    for model in dict.fromkeys(run.model for run in bench.runs):
        runs = [run for run in bench.runs if run.model == model]
        single = next((run for run in runs if run.concurrency == 1), None)
        many = [run for run in runs if run.concurrency >= MANY]
        if single is None or not many:
            sentences.append(f"{model_title(model)}: one text and {MANY} at a time were not both measured.")
            continue
        faster = min(single.duration_s / run.duration_s for run in many)
        ratios = [single.gpu_wh / run.gpu_wh for run in many if single.gpu_wh and run.gpu_wh]
        less = min(ratios) if len(ratios) == len(many) else None
        reached = faster >= MORE_TEXTS and less is not None and less >= LESS_ENERGY
        energy = (
            "an unknown change of its energy" if less is None else f"{less:.1f} times less energy of the GPU"
        )
        sentences.append(
            f"{model_title(model)}: from {MANY} texts at a time on at least {faster:.1f} times as many texts per second and "
            f"{energy}; the aim, {MORE_TEXTS:g} and {LESS_ENERGY:g} times, is {'reached' if reached else 'missed'}."
        )
    return " ".join(sentences)


_GPU_COLUMNS = (
    *("Model", "What", "Texts at a time", "Tokens in", "Tokens out", "Duration (s)", "Texts/s", "times"),
    *("GPU energy (Wh)", "times less", "Energy (Wh)", "Checks failed"),
)


def _gpu_row(run: GpuRun, single: GpuRun | None) -> dict[str, object]:
    faster = single.duration_s / run.duration_s if single else None
    less = single.gpu_wh / run.gpu_wh if single and single.gpu_wh and run.gpu_wh else None
    return {
        "Model": model_title(run.model),
        "What": "measured, dummy weights",
        "Texts at a time": str(run.concurrency),
        "Tokens in": _significant(run.tokens_in),
        "Tokens out": _significant(run.tokens_out),
        "Duration (s)": _significant(run.duration_s),
        "Texts/s": _significant(run.texts / run.duration_s),
        "times": _significant(faster, 2),
        "GPU energy (Wh)": _significant(run.gpu_wh),
        "times less": _significant(less, 2),
        "Energy (Wh)": _significant(run.energy_wh),
        "Checks failed": " ".join(run.checks_failed) or None,
    }


def _beside(run: GpuRun, bench: GpuLlmBench, paper: Paper) -> list[dict[str, object]]:
    """Return the rows of the paper and of the bounds of a model; `run` says its texts and tokens."""
    title = model_title(run.model)
    rows: list[dict[str, object]] = [
        {
            "Model": title,
            "What": f"the paper, {paper.gpus} x {paper.gpu_model}",
            "Texts at a time": "1 (inferred)",
            "Duration (s)": _significant(paper.duration_s),
            "Texts/s": _significant(paper.texts / paper.duration_s),
            "Energy (Wh)": _significant(paper.energy_wh),
        }
    ]
    model = study().models[run.model]
    names = dict.fromkeys([*(gpu.model for gpu in bench.where.gpus[:1]), paper.gpu_model])
    for limits in dict.fromkeys(roofline.find_limits(name) for name in names):
        if limits is None or not isinstance(model, LanguageModel):
            continue
        work = roofline.work_for(model, run.texts, run.tokens_in, run.tokens_out)
        for least, at_a_time in (
            (roofline.sequential_bound, "1"),
            (roofline.concurrent_bound, str(run.texts)),
        ):
            reference = least(work, limits, 1)
            rows.append(
                {
                    "Model": title,
                    "What": f"bound, {limits.title}",
                    "Texts at a time": at_a_time,
                    "Tokens in": _significant(work.tokens_in),
                    "Tokens out": _significant(work.tokens_out),
                    "Duration (s)": _significant(reference.duration_s, 2),
                    "Texts/s": _significant(reference.texts_per_s, 2),
                    "GPU energy (Wh)": _significant(reference.energy_wh, 2),
                }
            )
    return rows


def _load(folder: Path, kind: str, model: type[BenchT]) -> list[tuple[str, BenchT]]:
    return [
        (paths.relative(file), parse_json(model, file.read_bytes(), paths.relative(file)))
        for file in sorted(folder.glob(f"{kind}-*.json"))
    ]


def _significant(value: float | None, digits: int = 3) -> str | None:
    return None if value is None else units.significant(value, digits)
