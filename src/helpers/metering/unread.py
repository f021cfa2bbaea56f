"""Power and energy that a machine shows and this meter does not read: AMD's GPUs, and sensors of the board (ACPI, Grace)."""

from collections.abc import Iterator
from pathlib import Path

from helpers.core.files import read_text
from helpers.metering.counters import Absent

SYSFS = Path("/sys")
_AMD = "0x1002"
"""AMD's number as a vendor of PCI devices."""
_METER = "power_meter"
"""What the kernel calls ACPI's power meters; those of NVIDIA's Grace are some."""


def unread_sources(sysfs: Path = SYSFS) -> Iterator[Absent]:
    """Yield what is there and not read, with what helps; nothing on most machines."""
    for vendor in sorted(sysfs.glob("class/drm/card[0-9]*/device/vendor")):
        if read_text(vendor) == _AMD and vendor.parent.parent.name.removeprefix("card").isdigit():
            yield Absent(
                "gpu",
                f"amdgpu:{vendor.parent.parent.name}",
                "a GPU of AMD, whose energy this meter does not read",
                "measure on an NVIDIA GPU; amd-smi metric --energy shows the card's own counter",
            )
    for name in sorted(sysfs.glob("class/hwmon/hwmon*/name")):
        if read_text(name) != _METER:
            continue
        labels = [
            label
            for file in sorted((*name.parent.glob("*label"), *name.parent.glob("*oem_info")))
            if (label := read_text(file))
        ]
        yield Absent(
            "cpu",
            f"acpi:{name.parent.name}",
            f"a power meter of the board ({', '.join(labels) or 'without a name'}), a mean of the past, which is not read",
            None,
        )
