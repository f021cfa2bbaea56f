"""Memory: no counter reaches it everywhere, so two rules stand side by side, the paper's and CodeCarbon 3's."""

from helpers.records.storage import Component

RAM_W_PER_GB = 0.375
"""The paper's rule (section 3.3)."""


def paper_ram(ram_gb: float, duration_s: float) -> Component:
    """Return the energy of the memory that the run may use (`helpers.records.hardware`), 0.375 W for each GB."""
    return Component(energy_wh=RAM_W_PER_GB * ram_gb * duration_s / 3600, method="estimated:ram-0.375W/GB")


def codecarbon_ram(energy_wh: float | None) -> Component:
    """Return CodeCarbon's own estimate: it guesses memory modules from the size that it found, 5 W each."""
    if energy_wh is None:
        return Component(energy_wh=None, method="missing")
    return Component(energy_wh=energy_wh, method="estimated:ram-codecarbon")
