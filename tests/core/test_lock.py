"""Locks: who waits for whom, and how long a machine rests between two measurements."""

import os
import threading
import time
from contextlib import ExitStack

import pytest

from helpers.core import lock
from tests.conftest import refusal


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "MACHINE_LOCK", tmp_path / "machine.lock")


def held_after(cool_down_s):
    begin = time.monotonic()
    with lock.holding_machine(cool_down_s):
        return time.monotonic() - begin


def test_the_first_measurement_of_a_machine_need_not_rest():
    assert held_after(5.0) < 1.0


def test_the_next_one_rests_since_the_end_of_the_last():
    with lock.holding_machine(0.0):
        time.sleep(0.3)
    assert held_after(0.5) == pytest.approx(0.5, abs=0.2)
    time.sleep(0.3)
    assert held_after(0.5) == pytest.approx(0.2, abs=0.15), "what it rested meanwhile counts"
    assert held_after(0.0) < 0.2


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_rest():
    held_after(0.0)
    later = time.time() + 3600
    os.utime(lock.MACHINE_LOCK, (later, later))
    assert held_after(0.3) == pytest.approx(0.3, abs=0.2)


def test_any_user_of_the_machine_can_note_the_end_of_a_measurement():
    held_after(0.0)
    assert lock.MACHINE_LOCK.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_place_of_the_lock_is_refused_and_what_it_leads_to_is_left(tmp_path, exists):
    target = tmp_path / "mine"
    if exists:
        target.write_text("x", encoding="utf-8")
        target.chmod(0o600)
    lock.MACHINE_LOCK.symlink_to(target)
    assert "is a link, expected a lock file; remove it" in refusal(held_after, 0.0)
    assert target.exists() == exists
    assert not exists or target.stat().st_mode & 0o777 == 0o600


def test_who_waits_says_for_what_and_names_no_folder(tmp_path, capsys):
    """What the kernel says stands in the executed notebook, which is published."""
    file = tmp_path / "x.lock"
    with ExitStack() as held:
        held.enter_context(lock.holding(file, "first"))
        threading.Timer(0.3, held.pop_all().close).start()
        with lock.holding(file, "another one runs"):
            pass
    assert capsys.readouterr().err == "waiting: another one runs (x.lock)\n"
