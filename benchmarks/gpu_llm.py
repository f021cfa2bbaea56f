"""Ask the architectures of two of the paper's models with dummy weights, one text at a time and many (make bench-gpu-llm).

Every run goes through the measurement notebook and leaves a record like any other: about 600 tokens in, exactly 22
out, the 189 texts of a test set of the synthetic sample. A run that is there already is not repeated. The table sets
them beside the paper's runs and beside what the hardware allows at best.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dummies import CONFIGS, CONTEXT_LENGTH, DATASET, write_dummy
from helpers.core.errors import UserError
from helpers.core.paths import BENCHES, BUILD, relative
from helpers.measure import execute
from helpers.measure.parameters import plan
from helpers.metering.meter import Sources, find_sources
from helpers.records.hardware import detect
from helpers.records.storage import RECORD, Record
from helpers.results.overhead import here
from helpers.study.roofline import TOKENS_OUT
from report import write
from results_llm import GpuLlmBench, GpuRun

MODELS = ("qwen-2.5-7b", "llama-3.1-8b")
CONCURRENCIES = (1, 8, 32, 64, 189)
CAMPAIGN = "bench-gpu-llm"
WINDOW_S = 5.0


@dataclass(frozen=True)
class Settings:
    """What is asked of which model, and how it is served."""

    models: Sequence[str]
    concurrencies: Sequence[int]
    engine: str = "vllm"
    gpus: int = 1
    configs: Path = CONFIGS
    window_s: float = WINDOW_S
    output: str = ""
    """Folder of the records; empty: runs."""


def bench(chosen: Settings) -> GpuLlmBench:
    """Measure every model with every concurrency; prints a line per run.

    Raises:
        UserError: one line where a run cannot start or fails; finished runs are kept.
    """
    hardware = detect()
    runs = [run for model in chosen.models for run in _runs(model, chosen)]
    return GpuLlmBench(where=here(hardware), driver=hardware.driver, engine=chosen.engine, runs=runs)


def require_gpu(sources: Sources) -> None:
    """Refuse a machine without a GPU whose energy can be counted.

    Raises:
        UserError: one line with the reason and what to do.
    """
    if not any(counter.component == "gpu" for counter in sources.counters):
        absent = [item for item in sources.absent if item.component == "gpu"]
        reasons = "; ".join(item.reason for item in absent) or "NVML shows none"
        remedies = (
            "; ".join(item.remedy for item in absent if item.remedy) or "use a machine with an NVIDIA GPU"
        )
        raise UserError(f"no GPU with an energy counter: {reasons}; {remedies}")


def _runs(model: str, chosen: Settings) -> list[GpuRun]:
    folder = BUILD / "dummies" / model  # always the same: a run's name depends on it
    tokens = write_dummy(chosen.configs / f"{model}.json", folder)
    print(f"{model}: dummy weights, {tokens:.0f} tokens in, {TOKENS_OUT} out", flush=True)
    runs = []
    for concurrency in chosen.concurrencies:
        record = execute.measure(plan(_parameters(model, folder, concurrency, chosen), "bench", "llm"))
        runs.append(run_of(record, chosen.output))
        print(f"{model}, {concurrency} at a time: {runs[-1].duration_s:.3g} s a pass", flush=True)
    return runs


def _parameters(model: str, folder: Path, concurrency: int, chosen: Settings) -> dict[str, Any]:
    return {
        "model": model,
        "dataset": DATASET,
        "campaign": CAMPAIGN,
        "output": chosen.output,
        "splits": 1,
        "window_s": chosen.window_s,
        "gpus": chosen.gpus,
        "concurrency": concurrency,
        "max_tokens": TOKENS_OUT,
        "max_model_len": CONTEXT_LENGTH,
        "engine": chosen.engine,
        "checkpoint": str(folder),
        "weights": "dummy",
        "dtype": "bfloat16",
    }


def run_of(record: Record, output: str = "") -> GpuRun:
    """Return what a record says of a pass over its one split."""
    split, run = record.splits[0], record.run
    folder = Path(output or "runs") / run.campaign / run.run_id

    def per_text(count: int | None) -> float | None:
        return None if count is None else count / split.texts

    return GpuRun(
        model=run.model,
        concurrency=run.concurrency,
        record=relative(folder / RECORD),
        texts=split.texts,
        tokens_in=per_text(split.tokens_in),
        tokens_out=per_text(split.tokens_out),
        duration_s=split.duration_s,
        energy_wh=split.energy.total_wh,
        gpu_wh=split.energy.gpu.energy_wh,
        gpu_method=split.energy.gpu.method,
        checks_failed=[check.name for check in record.checks if not check.passed],
    )


def main() -> int:
    """Run the bench and leave its result; returns the exit status: 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="(default: both)")
    parser.add_argument(
        "--concurrency",
        type=int,
        nargs="+",
        default=list(CONCURRENCIES),
        help="texts at a time (default: five)",
    )
    parser.add_argument("--engine", default="vllm", help="of data/study/engines.yaml (default: vllm)")
    parser.add_argument("--window", type=float, default=WINDOW_S, help="least window, s (default: 5)")
    parser.add_argument("--out", type=Path, default=BENCHES, help="folder of the result")
    given = parser.parse_args()
    try:
        require_gpu(find_sources())
        result = bench(Settings(given.models, given.concurrency, given.engine, window_s=given.window))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    file = write(result, given.out)
    print(file.with_suffix(".md").read_text(encoding="utf-8"))
    print(f"{relative(file)} and {file.with_suffix('.md').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
