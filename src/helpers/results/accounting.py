"""Which energy is meant: the modes of accounting, explicit wherever energy is used (design, section 4)."""

import pandas as pd

from helpers.core.errors import UserError, nearest

MODES = ("total_as_published", "measured_only", "gpu_only")
TITLES = {
    "total_as_published": "CPU, GPU and memory added up as in the paper",
    "measured_only": "measured components only",
    "gpu_only": "GPU only",
}
_COMPONENTS = ("cpu", "gpu", "ram")


def energies(table: pd.DataFrame, mode: str) -> pd.Series:
    """Return the energy in Wh of each row of `results` or `split_results` under a mode of accounting.

    `total_as_published` is the sum that the paper prints. `measured_only` adds up the components whose
    method is a measurement, where no component that the run used is missing; published rows name no methods and
    have none. `gpu_only` is the GPU, as
    AIEnergyScore and ML.ENERGY count; a published row has it where Figure 2 shows it. Absent is null.

    Raises:
        UserError: one line with the nearest mode there is.
    """
    if mode not in MODES:
        raise UserError(f"accounting {mode!r}: unknown ({nearest(mode, MODES)})")
    if mode == "total_as_published":
        chosen = table["energy_wh"]
    elif mode == "gpu_only":
        chosen = table["gpu_wh"]
    else:
        parts = {name: _measured(table, name) for name in _COMPONENTS}
        chosen = (
            pd.DataFrame(parts, index=table.index).sum(axis="columns", min_count=1).where(~_lacking(table))
        )
    return pd.to_numeric(chosen).astype(float)


def _lacking(table: pd.DataFrame) -> pd.Series:
    """Say which rows lack the energy of the CPU, or of GPUs that they used."""
    cpu, gpu = (table[f"{name}_method"].eq("missing").fillna(False) for name in ("cpu", "gpu"))
    return cpu.astype(bool) | (
        gpu.astype(bool) & (pd.to_numeric(table["gpus"]) > 0).fillna(False).astype(bool)
    )


def _measured(table: pd.DataFrame, component: str) -> pd.Series:
    is_measured = table[f"{component}_method"].astype("string").str.startswith("measured").fillna(False)
    return pd.to_numeric(table[f"{component}_wh"]).where(is_measured)
