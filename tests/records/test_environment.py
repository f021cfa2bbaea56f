"""The environment of a run: its threads are fixed while it is measured, and free again after it."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from helpers.records.environment import fixed_threads, threads


def counts() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))  # a library of linear algebra is loaded
    return {int(pool["num_threads"]) for pool in threadpool_info()}


@pytest.mark.parametrize(
    ("given", "expected"), [(None, 2), ("", 2), ("1", 1), ("1,2", 1), ("many", 2), ("0", 2)]
)
def test_threads_are_fixed_and_recorded(given, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    before = counts()
    with fixed_threads(2):
        assert counts() == {expected}
        assert set(threads().values()) == {expected}
    assert counts() == before
