"""Power that a machine shows and the meter does not read is named as missing, with the reason."""

from pathlib import Path

from helpers.metering.meter import find_sources
from helpers.metering.unread import unread_sources


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_a_gpu_of_amd_is_named_once(tmp_path: Path) -> None:
    for card, vendor in (("card0", "0x1002"), ("card1", "0x10de"), ("card0-DP-1", "0x1002")):
        write(tmp_path / "class" / "drm" / card / "device" / "vendor", f"{vendor}\n")
    (absent,) = unread_sources(tmp_path)
    assert (absent.component, absent.source) == ("gpu", "amdgpu:card0")
    assert "GPU of AMD" in absent.reason
    assert "amd-smi" in str(absent.remedy)


def test_a_power_meter_of_the_board_is_named_with_its_label(tmp_path: Path) -> None:
    write(tmp_path / "class" / "hwmon" / "hwmon0" / "name", "coretemp\n")
    write(tmp_path / "class" / "hwmon" / "hwmon1" / "name", "power_meter\n")
    write(tmp_path / "class" / "hwmon" / "hwmon1" / "power1_oem_info", "Grace Power Socket 0\n")
    (absent,) = unread_sources(tmp_path)
    assert (absent.component, absent.source) == ("cpu", "acpi:hwmon1")
    assert "Grace Power Socket 0" in absent.reason


def test_a_machine_without_them_has_none_and_the_meter_asks(tmp_path: Path) -> None:
    assert list(unread_sources(tmp_path)) == []
    before = find_sources(sysfs=tmp_path).absent
    write(tmp_path / "class" / "drm" / "card0" / "device" / "vendor", "0x1002")
    assert [item.source for item in find_sources(sysfs=tmp_path).absent if item not in before] == [
        "amdgpu:card0"
    ]
