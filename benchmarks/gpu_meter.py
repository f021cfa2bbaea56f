"""Compare NVML's energy counter, the integral of the power time line and CodeCarbon on a GPU (make bench-gpu-meter).

Two tasks: a product of two matrices, which loads the GPU evenly, and a sentence embedding, which does not; and
the idle GPU. Each is repeated in windows, as a run repeats its passes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.core.errors import UserError
from helpers.core.lock import MACHINE_LOCK, holding
from helpers.core.paths import BENCHES, relative
from helpers.metering.counters import Absent
from helpers.metering.meter import Meter, Reading, Sources, find_sources, open_meter
from helpers.metering.sampling import gpu_column
from helpers.metering.sampling_process import PERIOD_S
from helpers.metering.timeline import integral_wh, read_timeline, start_timeline, throttled
from helpers.records.hardware import detect
from helpers.results.overhead import GpuBench, GpuCell, here
from report import write

WINDOW_S = 10.0
WINDOWS = 3
SIDE = 8192
"""Rows and columns of the matrices."""
PRODUCTS = 10
TEXTS = 512
SETTLE_S = 5.0


@dataclass(frozen=True)
class Measured:
    """A window of a task: when its work began and ended, on the clock of the time line."""

    task: str
    passes: int
    start_s: float
    end_s: float
    reading: Reading


def bench(checkpoint: str, window_s: float, windows: int) -> GpuBench:
    """Measure the tasks on the first GPU of the run.

    Raises:
        UserError: one line where no GPU can be measured, or torch does not see it.
    """
    sources = find_sources()
    uuid = _gpu(sources)
    torch = _torch()
    hardware = detect()
    with (
        holding(MACHINE_LOCK, "another measurement runs on this machine"),
        tempfile.TemporaryDirectory() as folder,
        open_meter(hardware.ram_gb, [uuid]) as meter,
        start_timeline(Path(folder), [uuid]) as timeline,
    ):
        measured = [
            _window(meter, title, work, window_s)
            for title, work in _tasks(torch, checkpoint)
            for _ in range(windows)
        ]
        frame = read_timeline(timeline.stop())
    return GpuBench(
        where=here(hardware),
        driver=hardware.driver,
        torch=torch.__version__,
        window_s=window_s,
        period_s=PERIOD_S,
        cells=[cell(item, uuid, frame) for item in measured],
    )


def cell(item: Measured, uuid: str, frame: Any) -> GpuCell:
    """Return what every source says of a window, per pass."""
    sources = {source.source: source for source in item.reading.sources if source.component == "gpu"}
    problems = [f"{source.source}: {source.problem}" for source in sources.values() if source.problem]
    slowed = throttled(frame, item.start_s, item.end_s)
    if slowed:
        problems.append(f"throttled: {', '.join(sorted(slowed))}")

    def per_pass(energy_wh: float | None) -> float | None:
        return None if energy_wh is None else energy_wh / item.passes

    def integral(quantity: str) -> float | None:
        return per_pass(integral_wh(frame, item.start_s, item.end_s, gpu_column(uuid, quantity)))

    counter = sources.get(f"nvml:{uuid}")
    codecarbon = next((source for name, source in sources.items() if name.startswith("codecarbon:")), None)
    return GpuCell(
        task=item.task,
        passes=item.passes,
        duration_s=(item.end_s - item.start_s) / item.passes,
        counter_wh=per_pass(counter.energy_wh if counter else None),
        instant_wh=integral("power_instant_w"),
        average_wh=integral("power_average_w"),
        codecarbon_wh=per_pass(codecarbon.energy_wh if codecarbon else None),
        problems=problems,
    )


def _gpu(sources: Sources) -> str:
    counters = [counter for counter in sources.counters if counter.component == "gpu"]
    if not counters:
        absent = [item for item in sources.absent if item.component == "gpu"]
        raise UserError(_no_gpu(absent))
    return counters[0].name.removeprefix("nvml:")


def _no_gpu(absent: list[Absent]) -> str:
    reasons = "; ".join(item.reason for item in absent) or "NVML shows none"
    remedies = "; ".join(item.remedy for item in absent if item.remedy) or "use a machine with an NVIDIA GPU"
    return f"no GPU with an energy counter: {reasons}; {remedies}"


def _torch() -> Any:
    import torch  # noqa: PLC0415  (seconds; only where there is a GPU)

    if not torch.cuda.is_available():
        raise UserError("torch sees no GPU, NVML does; install a CUDA build of torch")
    return torch


def _tasks(torch: Any, checkpoint: str) -> list[tuple[str, Callable[[], object]]]:
    """Return the tasks, each done once already; all end with the GPU's work done."""
    from helpers.models.traditional import load_embedding  # noqa: PLC0415
    from helpers.study.datasets import load_dataset  # noqa: PLC0415

    left, right = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    embedding = load_embedding(checkpoint, "cuda")
    texts = list(load_dataset("fktg-sample").texts)
    texts = (texts * (TEXTS // len(texts) + 1))[:TEXTS]

    def product() -> None:
        for _ in range(PRODUCTS):
            torch.matmul(left, right)
        torch.cuda.synchronize()

    def encode() -> None:
        embedding.encode(texts)
        torch.cuda.synchronize()

    tasks = [
        (f"{PRODUCTS} products of {SIDE} x {SIDE}, bfloat16", product),
        (f"{checkpoint} on {TEXTS} texts", encode),
        ("idle", lambda: time.sleep(1.0)),
    ]
    for _, work in tasks:
        work()
    return tasks


def _window(meter: Meter, title: str, work: Callable[[], object], window_s: float) -> Measured:
    end = time.perf_counter() + SETTLE_S
    while time.perf_counter() < end:
        work()  # the GPU's clocks and its averaged power settle
    edges: list[float] = []

    def noted() -> None:
        edges.append(time.perf_counter())
        work()

    window = meter.window(noted, window_s)
    reading = window.reading
    return Measured(title, window.passes, edges[0], edges[0] + reading.duration_s, reading)


def main() -> int:
    """Run the bench and leave its result; returns the exit status: 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="all-minilm-l6-v2", help="sentence embedding, or its folder")
    parser.add_argument("--window", type=float, default=WINDOW_S, help="least window, s (default: 10)")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="windows of each task (default: 3)")
    parser.add_argument("--out", type=Path, default=BENCHES, help="folder of the result")
    given = parser.parse_args()
    try:
        file = write(bench(given.checkpoint, given.window, given.windows), given.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(file.with_suffix(".md").read_text(encoding="utf-8"))
    print(f"{relative(file)} and {file.with_suffix('.md').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
