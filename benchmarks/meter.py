"""Measure tasks of five lengths with our meter and with others, and say what each makes of them (make bench-meter).

Every tool measures every task in a process of its own, and then the same task repeated for long. What it
says of one pass is compared with one pass of that long run.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from helpers.core.errors import UserError
from helpers.core.lock import MACHINE_LOCK, holding
from helpers.core.paths import BENCHES, relative
from helpers.metering.meter import find_sources, open_meter
from helpers.records.hardware import detect
from helpers.results.overhead import Cell, MeterBench, Tool, here
from overhead import edge_s, overheads
from report import write
from tools import TOOLS, repeated, task

LENGTHS_S = (0.001, 0.01, 0.1, 1.0)
FULL_S = 20.0
QUIET_PERCENT = 10.0
PEERS = ("zeus", "perun", "carbontracker", "experiment-impact-tracker")
"""Tools with an environment of their own."""
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Settings:
    """How long everything takes."""

    lengths_s: tuple[float, ...]
    tools: tuple[str, ...]
    window_s: float
    long_s: float
    pairs: int
    block_s: float
    peers: Path | None


def bench(chosen: Settings, wait_s: float) -> MeterBench:
    """Measure everything; prints a line per cell."""
    hardware = detect()
    loops_per_s = _loops_per_s()
    before = _wait_until_quiet(wait_s)
    with holding(MACHINE_LOCK, "another measurement runs on this machine"):
        measured_tools = [_tool(name, chosen, loops_per_s) for name in chosen.tools]
        gpus = [gpu.uuid for gpu in find_sources().gpus]
        with open_meter(hardware.ram_gb, gpus) as meter:
            block = task(max(1, round(chosen.block_s * loops_per_s)))
            costs = overheads(meter, gpus, block, chosen.pairs)
            edge = edge_s(meter)
    return MeterBench(
        where=here(hardware),
        load_before_percent=before,
        window_s=chosen.window_s,
        tools=[tool for tool, _ in measured_tools],
        cells=[cell for _, cells in measured_tools for cell in cells],
        overheads=costs,
        edge_s=edge,
    )


def _tool(name: str, chosen: Settings, loops_per_s: float) -> tuple[Tool, list[Cell]]:
    title = TOOLS[name][1]
    answers, cells = [], []
    for length_s in chosen.lengths_s:
        answer, others_percent = _ask(name, length_s, chosen, loops_per_s)
        answers.append(answer)
        if "shots" in answer:
            cells.append(_cell(name, length_s, answer, others_percent))
            summary = f"ratio of power {cells[-1].power_ratio}, of duration {cells[-1].duration_ratio}"
        else:
            summary = answer["problem"]
        print(f"{title}, task of {length_s:g} s: {summary}", flush=True)
        if "shots" not in answer:
            break  # what does not run here does not run with a longer task
    problems = [answer["problem"] for answer in answers if answer["problem"]]
    tool = Tool(
        name=name,
        title=title,
        version=answers[0]["version"],
        counts=answers[-1].get("counts"),
        problem=problems[0] if problems else None,
    )
    return tool, cells


def _ask(name: str, length_s: float, chosen: Settings, loops_per_s: float) -> tuple[dict[str, Any], float]:
    """Let a process measure; returns its answer and the load by others meanwhile, in percent of all cores."""
    own = chosen.peers / "bin" / "python" if chosen.peers and name in PEERS else Path(sys.executable)
    if name in PEERS and chosen.peers is None:
        return {"version": None, "problem": "not installed: `make bench-meter` does"}, 0.0
    repeats = 1 if name == "ours" else _repeats(length_s)
    command = [str(own), str(Path(__file__).with_name("tools.py")), name]
    command += ["--loops", str(max(1, round(length_s * loops_per_s))), "--repeats", str(repeats)]
    command += ["--long", str(max(chosen.long_s * (2 if name == "ours" else 1), 2 * length_s))]
    command += ["--window", str(chosen.window_s if name == "ours" else 0.0)]
    environment = dict(os.environ)
    if name in PEERS:
        environment.pop("PYTHONPATH", None)
    start, busy, own_s = time.perf_counter(), _busy_s(), _children_s()
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command,
                cwd=folder,  # some leave files where they run
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S + 10 * length_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return {"version": None, "problem": _line(error)}, 0.0
    cores_s = (time.perf_counter() - start) * (psutil.cpu_count() or 1)
    others = 100 * max(0.0, (_busy_s() - busy) - (_children_s() - own_s)) / cores_s
    answer_lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    if not answer_lines:
        last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        return {
            "version": None,
            "problem": f"its process ended with status {done.returncode}: {last}",
        }, others
    return json.loads(answer_lines[-1].removeprefix("ANSWER ")), others


def _line(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {error.timeout:.0f} s"
    return f"its Python does not start: {error}"


def _cell(name: str, length_s: float, answer: dict[str, Any], others_percent: float) -> Cell:
    shots, long = answer["shots"], answer["long"]

    def per_pass(shot: dict[str, Any], key: str) -> float | None:
        return None if shot[key] is None else shot[key] / shot["passes"]

    durations = [per_pass(shot, "duration_s") for shot in shots]
    energies = [value for shot in shots if (value := per_pass(shot, "energy_wh")) is not None]
    complete = len(energies) == len(shots)
    return Cell(
        tool=name,
        length_s=length_s,
        repeats=len(shots),
        passes=shots[0]["passes"],
        long_passes=long["passes"],
        long_duration_s=long["clock_s"] / long["passes"],
        long_energy_wh=per_pass(long, "energy_wh"),
        clock_s=statistics.median(shot["clock_s"] / shot["passes"] for shot in shots),
        duration_s=None if None in durations else statistics.median(durations),
        energy_wh=statistics.median(energies) if complete else None,
        energy_lowest_wh=min(energies) if complete else None,
        energy_highest_wh=max(energies) if complete else None,
        others_percent=others_percent,
    )


def _repeats(length_s: float) -> int:
    """Return how often a single pass is measured: one alone says little where it is short."""
    return 5 if length_s <= 0.1 else 3 if length_s <= 1 else 1


def _loops_per_s() -> float:
    """Return how fast the task runs here: the best of several attempts, since others can only slow it down."""
    loops = 20_000
    work = task(loops)
    return max(loops * passes / seconds for passes, seconds in (repeated(work, 0.1) for _ in range(5)))


def _wait_until_quiet(wait_s: float) -> float:
    """Wait for a quiet machine, but no longer than that; returns its load in percent of all cores."""
    end = time.monotonic() + wait_s
    while (load := psutil.cpu_percent(interval=min(5.0, max(0.2, wait_s)))) > QUIET_PERCENT:
        if time.monotonic() >= end:
            break
    return load


def _busy_s() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run the bench and leave its result; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"also a task of {FULL_S:g} s (8 minutes more)")
    parser.add_argument("--lengths", type=float, nargs="+", default=LENGTHS_S, help="lengths of the tasks, s")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS), help="(default: all)")
    parser.add_argument("--window", type=float, default=5.0, help="least window of ours, s (default: 5)")
    parser.add_argument("--long", type=float, default=3.0, help="long run of the others, s (default: 3)")
    parser.add_argument("--pairs", type=int, default=41, help="pairs with and without (default: 41)")
    parser.add_argument(
        "--block", type=float, default=0.3, help="work of each half of a pair, s (default: 0.3)"
    )
    parser.add_argument("--peers", type=Path, help="environment with the other tools")
    parser.add_argument("--wait", type=float, default=60.0, help="wait that long for a quiet machine, s")
    parser.add_argument("--out", type=Path, default=BENCHES, help="folder of the result")
    given = parser.parse_args()
    if given.pairs < 15:
        parser.error(f"--pairs {given.pairs}: expected at least 15; fewer say nothing about 1 %")
    lengths = (*given.lengths, FULL_S) if given.full else tuple(given.lengths)
    settings = Settings(
        lengths_s=lengths,
        tools=tuple(given.tools),
        window_s=given.window,
        long_s=given.long,
        pairs=given.pairs,
        block_s=given.block,
        peers=given.peers.absolute() if given.peers else None,
    )
    try:
        file = write(bench(settings, given.wait), given.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(file.with_suffix(".md").read_text(encoding="utf-8"))
    print(f"{relative(file)} and {file.with_suffix('.md').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
