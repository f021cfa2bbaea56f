"""Where a campaign runs: this machine, or a SLURM cluster that one small YAML file describes."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from helpers.core import paths
from helpers.core.errors import UserError, nearest
from helpers.core.validation import Strict, load_yaml, parse
from helpers.study.catalogue import NAME

SITES = paths.ROOT / "workflow" / "sites"
_WORD = r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$"


class Site(Strict):
    """This machine or a cluster, where runs are measured."""

    title: str
    executor: Literal["local", "slurm"]
    """`local`: one run after the other, here; `slurm`: each run is a job with nodes of its own."""
    machine: str = Field(default="auto", pattern=NAME)
    """What its nodes are: a machine of the catalogue; `auto` only where they are the like of the machine that submits."""
    partition: str | None = Field(default=None, pattern=_WORD)
    """Partition that the jobs go to; None: the cluster's own."""
    account: str | None = Field(default=None, pattern=_WORD)
    """Account that is charged; None: the user's own."""
    qos: str | None = Field(default=None, pattern=_WORD)
    """Quality of service."""
    constraint: str | None = Field(default=None, min_length=1)
    """Features that a node must have."""
    gres: str = Field(default="gpu", pattern=r"^gpu(:[A-Za-z0-9_.]+)?$")
    """How the cluster names its GPUs, without their number: `gpu` or `gpu:h100`."""
    accounting: bool = True
    """Whether the cluster has accounting (`sacct` answers); without it jobs are polled with `squeue`."""
    jobs: int = Field(default=8, ge=1, le=1000)
    """Maximum number of jobs that are queued or run at the same time."""
    limit_factor: float = Field(default=2.0, ge=1, le=100)
    """By what the expected duration of a run is multiplied for its time limit."""
    most_min: int = Field(default=1440, ge=1)
    """Longest time limit that the partition allows, in minutes; also that of runs whose duration is unknown."""
    interface: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.:-]+$")
    """Network interface over which two nodes of a run talk; None: the address that SLURM has for a node."""
    check_s: int = Field(default=20, ge=1, le=90)
    """Seconds between two polls of the queue; a job that has ended stays in it for some minutes only."""

    @model_validator(mode="after")
    def _slurm_alone_has_a_queue(self) -> Self:
        general = {"title", "executor", "machine"}
        given = [
            name
            for name, field in type(self).model_fields.items()
            if name not in general and getattr(self, name) != field.default
        ]
        if self.executor == "local" and given:
            raise ValueError(f"'{given[0]}' is for executor: slurm; remove it, or change the executor")
        return self


LOCAL = Site(title="This machine", executor="local")


def load_site(name: str) -> Site:
    """Return a site by its name in `workflow/sites`, or by its file.

    Raises:
        UserError: one line with file, key and nearest valid key for the first fault; also for an unknown name.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        file = Path(os.path.expanduser(name))  # noqa: PTH111  (a user that is not there is no error)
        if not file.is_file():
            raise UserError(f"--site {name}: no such file; give a YAML file, or a name of workflow/sites")
    else:
        file = SITES / f"{name}.yaml"
        if not file.is_file():
            names = [item.stem for item in SITES.glob("*.yaml")]
            raise UserError(f"--site {name}: unknown site ({nearest(name, names)})")
    label = paths.relative(file)
    return parse(Site, load_yaml(file, label), label)
