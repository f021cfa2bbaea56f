"""Time a whole campaign against what it measures (make bench-campaign): what kernels, imports and scheduling cost."""

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.measure.parameters import campaign_plans
from helpers.records.hardware import detect
from helpers.results.overhead import here
from report import write
from results_campaign import CampaignBench, times_of

CAMPAIGN = "overhead"
COMMAND_STARTS = 5
_COMMAND = "from helpers import verbs; from helpers.measure import execute, parameters; from helpers.results import tables"
"""What the command imports before it starts a kernel."""


def bench() -> CampaignBench:
    """Measure the campaign of the bench from nothing; its runs of an earlier time are removed.

    Raises:
        UserError: one line where the campaign cannot be measured.
    """
    plans = campaign_plans(CAMPAIGN)
    shutil.rmtree(paths.RUNS / CAMPAIGN, ignore_errors=True)
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "helpers", "run", CAMPAIGN], cwd=paths.ROOT, check=False)
    wall_s = time.perf_counter() - begin
    if done.returncode != 0:
        raise UserError(f"bench-campaign: the campaign ended with status {done.returncode}; see above")
    times = [times_of(plan.folder) for plan in plans]
    summed = {name: sum(item[name] for item in times) for name in times[0]}
    cool_down_s = sum(plan.parameters.cool_down_s for plan in plans)
    command_s = statistics.median(_command_s() for _ in range(COMMAND_STARTS)) * len(plans)
    return CampaignBench(
        where=here(detect()),
        runs=len(plans),
        wall_s=wall_s,
        phases_s=summed["phases"],
        cool_down_s=cool_down_s,
        kernel_s=summed["kernel"],
        imports_s=summed["imports"],
        beside_s=max(summed["cell"] - summed["phases"], 0.0),
        command_s=command_s,
    )


def _command_s() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", _COMMAND], cwd=paths.ROOT, check=True)
    return time.perf_counter() - begin


def main() -> int:
    """Run the bench and leave its result; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=paths.BENCHES, help="folder of the result")
    given = parser.parse_args()
    try:
        file = write(bench(), given.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(file.with_suffix(".md").read_text(encoding="utf-8"))
    print(f"{paths.relative(file)} and {file.with_suffix('.md').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
