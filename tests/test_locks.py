"""The locks: pip takes the files whose hashes they hold, and no others."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

LOCKS = sorted(ROOT.glob("requirements*.txt"))


def entries(lock: Path) -> dict[str, str]:
    """Return the rest of each line by the name of its package."""
    lines = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return {name: rest for name, _, rest in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_has_hashes(lock: Path) -> None:
    assert len(entries(lock)) > 20
    for name, rest in entries(lock).items():
        assert re.fullmatch(r"\S+( ; [^-]+)?(\s+--hash=sha256:[0-9a-f]{64})+", rest), name


def test_reader_takes_the_versions_that_measured() -> None:
    everything, reader = entries(ROOT / "requirements.txt"), entries(ROOT / "requirements-book.txt")
    for name, rest in reader.items():
        assert everything[name].split()[0] == rest.split()[0]
    assert "torch" not in reader


def test_what_make_leaves_out_beside_a_cpu_build_of_torch_is_cudas_alone() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (names,) = re.findall(r"^CUDA := (.*)$", makefile, re.MULTILINE)
    locked = entries(ROOT / "requirements.txt")
    assert set(names.split()) <= set(locked)
    left = set(locked) - set(names.split())
    # NVML is what reads the counters; XGBoost needs NCCL to be imported
    assert {name for name in left if re.match("cuda|nvidia|triton", name)} == {
        "nvidia-ml-py",
        "nvidia-nccl-cu12",
    }
