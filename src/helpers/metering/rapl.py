"""RAPL's energy counters through powercap: packages and memory, on Intel and AMD, without root where allowed."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from helpers.core.files import read_text
from helpers.metering.counters import Absent, Counter, CounterComponent, CounterLost, RegisterCounter

POWERCAP = Path("/sys/class/powercap")
UPDATE_PERIOD_S = 0.001
_UNIT_J = 1e-6
_SAME_UJ = 1_000_000
"""Registers of two dies that are this close are one register shown twice: they are read one after the other."""
_LOOKS, _LOOK_AGAIN_S = 3, 0.5


def open_rapl(
    root: Path = POWERCAP,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[list[Counter], list[Absent]]:
    """Open the counters of all packages and of their memory; never an error.

    The whole board (psys) is left out, it holds the packages; so are cores and their like, parts of one. A
    package that only mirrors another one, as on some CPUs of several dies, is left out, too.
    """
    counters: list[Counter] = []
    absent: list[Absent] = []
    mirrored = _mirrored(root, sleep)
    for component, domain, folder in rapl_domains(root):
        if folder in mirrored:
            continue
        name = f"rapl:{domain}"
        try:
            counters.append(_counter(component, name, folder, clock))
        except CounterLost as lost:
            absent.append(Absent(component, name, lost.reason, _remedy(folder)))
    components = {item.component for item in counters} | {item.component for item in absent}
    if "cpu" not in components:
        absent.append(_no_package(root))
    elif "dram" not in components:
        absent.append(Absent("dram", "rapl", "this CPU has no counter for its memory", None))
    return counters, absent


def rapl_domains(root: Path) -> Iterator[tuple[CounterComponent, str, Path]]:
    """Yield the package and memory domains: component, name (`package-0`, `package-0:dram`), folder.

    AMD's have Intel's names. The whole board (psys) and parts of a package other than its memory are left out.
    """
    packages = (folder for folder in root.glob("intel-rapl:*") if folder.name.count(":") == 1)
    for package in sorted(packages, key=lambda folder: (len(folder.name), folder.name)):
        name = read_text(package / "name")
        if not name.startswith("package"):
            continue
        yield "cpu", name, package
        # A part lies inside its package, and in a flat tree (class/powercap) beside it, too.
        parts = {part.name: part for folder in (root, package) for part in folder.glob(f"{package.name}:*")}
        for part in sorted(parts):
            if read_text(parts[part] / "name") == "dram":
                yield "dram", f"{name}:dram", parts[part]


def _counter(
    component: CounterComponent, name: str, folder: Path, clock: Callable[[], float]
) -> RegisterCounter:
    range_uj = _microjoules(name, folder / "max_energy_range_uj")
    energy = folder / "energy_uj"
    return RegisterCounter(
        name, component, UPDATE_PERIOD_S, lambda: _microjoules(name, energy), _UNIT_J, range_uj, clock
    )


def _mirrored(root: Path, sleep: Callable[[float], None]) -> set[Path]:
    """Return the package domains whose register is that of another package.

    Two packages can be this close by chance, but not for long: who looks like a mirror is looked at again.
    """
    alike = _alike(root)
    for _ in range(_LOOKS if alike else 0):
        sleep(_LOOK_AGAIN_S)
        alike &= _alike(root)
    return {folder for folder, _ in alike}


def _alike(root: Path) -> set[tuple[Path, Path]]:
    """Return the packages whose register shows now what an earlier one shows, each with that one."""
    seen: dict[Path, int] = {}
    for component, domain, folder in rapl_domains(root):
        if component == "cpu":
            with suppress(CounterLost):
                seen[folder] = _microjoules(f"rapl:{domain}", folder / "energy_uj")
    places = list(seen)
    return {
        (folder, earlier)
        for number, folder in enumerate(places)
        for earlier in places[:number]
        if seen[folder] > _SAME_UJ and abs(seen[folder] - seen[earlier]) < _SAME_UJ
    }


def _microjoules(name: str, file: Path) -> int:
    try:
        return int(file.read_bytes())
    except PermissionError:
        raise CounterLost(name, f"no permission to read {file}") from None
    except FileNotFoundError:
        raise CounterLost(name, f"{file} is gone") from None
    except (OSError, ValueError) as error:
        raise CounterLost(name, f"{file} cannot be read: {error}") from None


def _remedy(folder: Path) -> str | None:
    file = folder / "energy_uj"
    try:
        file.read_bytes()
    except PermissionError:
        return f"allow to read it until the next boot: sudo chmod a+r {file}"
    except OSError:
        return None
    return None


def _no_package(root: Path) -> Absent:
    if not root.is_dir():
        reason = f"no folder {root}: this kernel shows no RAPL, as in most virtual machines and containers"
    else:
        reason = f"no package domain under {root}, as in most virtual machines"
    return Absent("cpu", "rapl", reason, "measure on the machine itself; there: sudo modprobe intel_rapl_msr")
