"""Five hundred runs that nobody measured: valid, distinct and complete on disk, made of the committed ones.

For tests of load: each stub is a committed run with a name and a window of its own, and with its files: predictions and
notebook as they are, and one power time line for all.
"""

import json
import math
import os
import resource
import statistics
import time
from array import array
from pathlib import Path
from typing import Any

from helpers.measure import parameters
from helpers.metering.sampling_process import About, Samples, write
from helpers.metering.timeline import FILE as POWER
from helpers.records.environment import sha256_of
from helpers.records.storage import RECORD, SCHEMA_VERSION, Record

CAMPAIGN = "stubs"
RUNS = 500
GRID: dict[str, Any] = {
    "model": ["linear-bow", "linear-tfidf", "linear-embedding", "xgboost-bow", "xgboost-tfidf"],
    "dataset": ["news", "yelp", "tomatoes", "emotion"],
    "checkpoint": "all-minilm-l6-v2",
    "window_s": [5.0 + i / 10 for i in range(25)],
}
_ROWS = 1000
"""Of a power time line: 10 splits of 10 s at 10 Hz."""
_LOOP, _LOOP_S = 2_000_000, 0.09
"""Squares that are added, and how long that took on a quiet AMD EPYC of 2 virtual cores."""
_GPU = "GPU-00000000-0000-0000-0000-000000000000"


def write_stub_runs(root: Path) -> list[Path]:
    """Write the campaign `stubs` into the catalogue of a checkout and its runs below `runs/`; returns their records."""
    campaign = {
        "title": "Stubs",
        "description": "Nobody measured them.",
        "notebook": "traditional",
        "grid": [GRID],
    }
    file = root / "data" / "study" / "campaigns" / f"{CAMPAIGN}.yaml"
    file.write_text(json.dumps(campaign), encoding="utf-8")  # JSON is YAML
    power = _write_power(root.parent / POWER)
    written = []
    for model in GRID["model"]:
        for dataset in GRID["dataset"]:
            committed = root / "data" / "measurements" / "reference-cpu"
            (measured,) = committed.glob(f"{dataset}-{model}-*")  # a copy: links do not leave a file system
            for window_s in GRID["window_s"]:
                chosen = {"model": model, "dataset": dataset, "window_s": window_s}
                written.append(_write_stub(root, measured, power, chosen))
    assert len(set(written)) == RUNS
    return written


def processor_s() -> float:
    """Return what the processes started so far have computed: on a machine of its own a little less than they took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def slowness() -> float:
    """Return how much longer a loop takes here and now than on the machine that the limits were set on; at least 1.

    Other virtual machines on the same cores stretch processor seconds, too.
    """
    took_s = []
    for _ in range(5):
        begin_s = time.process_time()
        sum(number * number for number in range(_LOOP))
        took_s.append(time.process_time() - begin_s)
    return max(1.0, statistics.median(took_s) / _LOOP_S)


def _write_stub(root: Path, measured: Path, power: Path, chosen: dict[str, Any]) -> Path:
    """Write a run: the files of a measured one, linked, and its record with another name and window."""
    given = {**chosen, "checkpoint": GRID["checkpoint"], "campaign": CAMPAIGN}
    plan = parameters.plan(given, CAMPAIGN)
    folder = root / "runs" / CAMPAIGN / plan.run_id
    folder.mkdir(parents=True)
    document = json.loads((measured / RECORD).read_text(encoding="utf-8"))
    document["schema_version"] = SCHEMA_VERSION
    document["run"] |= {**chosen, "campaign": CAMPAIGN, "run_id": plan.run_id, "machine": plan.machine}
    document["files"] |= {POWER: sha256_of(power)}
    for file in [*(measured / name for name in document["files"] if name != POWER), power]:
        os.link(file, folder / file.name)
    text = Record.model_validate_json(json.dumps(document)).model_dump_json(indent=1)
    (folder / RECORD).write_text(text, encoding="utf-8")
    return folder / RECORD


def _write_power(file: Path) -> Path:
    values = {
        "time_s": [row / 10 for row in range(_ROWS)],
        f"nvml:{_GPU}:power_instant_w": [200 + 100 * math.sin(row / 7) for row in range(_ROWS)],
        "cpu_load_percent": [50 + 40 * math.cos(row / 5) for row in range(_ROWS)],
    }
    columns = {name: array("d", column) for name, column in values.items()}
    write(Samples(columns, About(period_s=0.1, rows=_ROWS, missed=0, own_cpu_percent=0.4, absent={})), file)
    return file
