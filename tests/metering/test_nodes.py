"""Several nodes: sums, the longest duration, clocks, and that no node is missing; on two local Ray nodes.

Meters of known energy stand in for counters, of which two nodes on one machine have one set only.
"""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.core.errors import TransientError
from helpers.metering import nodes as several
from helpers.metering.meter import Reading
from helpers.metering.node_actor import Halves
from helpers.metering.node_readings import NodeReading, combine, node_checks, sum_energies
from helpers.metering.nodes import open_nodes
from helpers.records.storage import Component, Energy, publish
from tests.conftest import ROOT, refusal

pytestmark = pytest.mark.xdist_group("nodes")  # one cluster is enough for two cores

COMPONENTS = ("cpu", "gpu", "ram", "ram_codecarbon")
MISSING = Component(energy_wh=None, method="missing")


def energy(cpu_wh, gpu_wh, ram_wh, cpu="measured:rapl"):
    return Energy(
        cpu=Component(energy_wh=cpu_wh, method=cpu),
        gpu=MISSING if gpu_wh is None else Component(energy_wh=gpu_wh, method="measured:nvml-counter"),
        ram=Component(energy_wh=ram_wh, method="estimated:ram-0.375W/GB"),
        ram_codecarbon=Component(energy_wh=2 * ram_wh, method="estimated:ram-codecarbon"),
    )


def reading(duration_s, of):
    return Reading(duration_s=duration_s, codecarbon_duration_s=duration_s, energy=of)


def values(of):
    return {name: getattr(of, name).energy_wh for name in COMPONENTS}


def methods(of):
    return {name: getattr(of, name).method for name in COMPONENTS}


# Arithmetic, without a cluster


def components(*methods_of_part):
    measured = st.builds(Component, energy_wh=st.floats(0, 1e6), method=st.sampled_from(methods_of_part))
    return measured | st.just(MISSING)


ENERGIES = st.builds(
    Energy,
    cpu=components("measured:rapl", "estimated:cpu-load", "estimated:tdp"),
    gpu=components("measured:nvml-counter"),
    ram=components("estimated:ram-0.375W/GB"),
    ram_codecarbon=components("estimated:ram-codecarbon"),
)
READINGS = st.lists(st.builds(reading, st.floats(1e-3, 1e5), ENERGIES), min_size=1, max_size=4)


def on_node(number, of, **changed):
    node = NodeReading(
        node_id=f"{number:056x}",
        hostname=f"host-{number}",
        clock_offset_s=0.0,
        clock_offset_uncertainty_s=0.0,
        reading=of,
        machine_id=f"machine-{number}",
        started_s=0.0,
        stopped_s=of.duration_s,
    )
    return replace(node, **changed)


@settings(max_examples=100, deadline=None)
@given(readings=READINGS)
def test_energies_add_up_and_the_longest_duration_counts(readings):
    together = combine([on_node(number, of) for number, of in enumerate(readings)], 1.0)
    assert together.duration_s == max(of.duration_s for of in readings)
    for name in COMPONENTS:
        parts = [getattr(of.energy, name).energy_wh for of in readings]
        total = getattr(together.energy, name).energy_wh
        assert total == (None if None in parts else pytest.approx(sum(parts)))


@settings(max_examples=100, deadline=None)
@given(energies=st.lists(ENERGIES, min_size=1, max_size=4), seed=st.randoms())
def test_the_order_of_nodes_changes_nothing(energies, seed):
    shuffled = seed.sample(energies, len(energies))
    assert methods(sum_energies(shuffled)) == methods(sum_energies(energies))
    assert values(sum_energies(shuffled)) == pytest.approx(values(sum_energies(energies)))


def test_a_sum_with_an_estimated_part_is_an_estimate_and_says_so():
    together = combine(
        [on_node(1, reading(1, energy(1, 1, 1))), on_node(2, reading(1, energy(1, 1, 1, "estimated:tdp")))], 1
    )
    assert together.energy.cpu == Component(energy_wh=2, method="estimated:tdp")
    assert together.energy.gpu.method == "measured:nvml-counter"
    assert together.remarks == (
        "cpu: measured:rapl on 1, estimated:tdp on 1 of 2 nodes; the sum is estimated:tdp",
    )


def test_a_component_that_one_node_lacks_is_missing_and_not_the_sum_of_the_others():
    together = combine(
        [on_node(1, reading(1, energy(1, 5, 1))), on_node(2, reading(1, energy(1, None, 1)))], 1
    )
    assert together.energy.gpu == MISSING
    assert together.remarks == (
        "gpu: measured:nvml-counter on 1, missing on 1 of 2 nodes; the sum is missing",
    )


def test_meters_that_start_together_by_the_drivers_clock_are_together():
    """Clocks of two machines count from different origins."""
    first = on_node(1, reading(10, energy(1, 1, 1)), started_s=5.0, stopped_s=15.0)
    second = on_node(
        2, reading(10, energy(1, 1, 1)), clock_offset_s=9000.0, started_s=9005.25, stopped_s=9015.125
    )
    together = combine([first, second], 10)
    assert together.start_spread_s == pytest.approx(0.25)
    assert together.stop_spread_s == pytest.approx(0.125)


def failed(together, nodes):
    checks = node_checks(together, nodes)
    assert all(len(check.message.splitlines()) == 1 for check in checks)
    return {check.name for check in checks if not check.passed}


def test_checks_pass_where_all_is_well_and_tell_each_fault():
    well = [on_node(number, reading(10, energy(1, 1, 1))) for number in (1, 2)]
    estimated = on_node(2, reading(10, energy(1, 1, 1, "estimated:tdp")))
    assert failed(combine(well, 10), 2) == set()
    assert failed(combine(well[:1], 10), 2) == {"no_node_missing"}
    assert failed(combine([well[0], replace(well[1], machine_id="machine-1")], 10), 2) == {
        "one_meter_per_machine"
    }
    assert failed(combine([well[0], estimated], 10), 2) == {"same_methods_on_all_nodes"}
    assert failed(combine([well[0], replace(well[1], started_s=0.5)], 10), 2) == {"meters_together"}
    assert failed(combine(well, 20), 2) == {"nodes_measured_the_work"}


# A meter in two halves


def stopwatch(work):
    start = time.perf_counter()
    result = work()
    return result, reading(time.perf_counter() - start, energy(1, 1, 1))


def test_two_halves_measure_what_lies_between_them_and_can_be_used_again():
    halves = Halves(stopwatch)
    for seconds in (0.2, 0.05):
        halves.start()
        time.sleep(seconds)
        assert seconds <= halves.stop().duration_s < seconds + 0.5  # a busy machine wakes late
    halves.close()


def test_a_meter_that_fails_to_start_or_to_stop_says_so():
    def broken_at_start(_work):
        raise OSError("no counter")

    def broken_at_stop(work):
        work()
        raise OSError("counter lost")

    with pytest.raises(OSError, match="no counter"):
        Halves(broken_at_start).start()
    halves = Halves(broken_at_stop)
    halves.start()
    with pytest.raises(OSError, match="counter lost"):
        halves.stop()
    with pytest.raises(RuntimeError, match="not started"):
        halves.stop()


def test_a_meter_that_is_closed_without_a_stop_ends():
    before = set(threading.enumerate())  # by name, not by number: threads of earlier tests may end meanwhile
    halves = Halves(stopwatch)
    halves.start()
    (own,) = set(threading.enumerate()) - before
    halves.close()
    assert not own.is_alive()


# Two nodes

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
GPUS = "GPU-of-the-allocation"


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two Ray nodes on this machine; loopback only, nothing left behind."""
    pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[nodes]'")
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # names of sockets have to be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        patch.setenv("CUDA_VISIBLE_DEVICES", GPUS)
        import ray
        from ray.cluster_utils import Cluster

        running = Cluster()
        this_module = sys.modules[__name__]
        ray.cloudpickle.register_pickle_by_value(this_module)  # the nodes have the package, and no tests
        try:
            running.add_node(node_ip_address="127.0.0.2", **NODE)
            running.add_node(node_ip_address="127.0.0.3", **NODE)
            ray.init(address=running.address, log_to_driver=False, logging_level="error")
            yield running
        finally:
            ray.cloudpickle.unregister_pickle_by_value(this_module)
            ray.shutdown()
            running.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def ids(cluster):
    import ray

    return [node["NodeID"] for node in ray.nodes()]


def here():
    import ray

    return ray.get_runtime_context().get_node_id()


@dataclass(frozen=True)
class _Fake:
    """Opens a meter that knows what it will read; on one node it can be made to fail."""

    folder: Path
    readings: dict[str, Reading]
    broken: str = ""
    node: str = ""

    @contextmanager
    def __call__(self):
        self.leave_trace("open")
        yield self
        self.leave_trace("close")

    def start(self):
        self.leave_trace("start")

    def stop(self):
        self.leave_trace("stop")
        return self.readings[here()]

    def leave_trace(self, what):
        """Leave a trace: when, in which process, and which GPUs it sees."""
        node = here()
        trace = (time.perf_counter(), os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"))
        (self.folder / f"{what}-{node}").write_text(json.dumps(trace))
        if what == self.broken and node == self.node:
            raise OSError(f"two\nlines about {what}")

    def trace(self, what, node):
        return json.loads((self.folder / f"{what}-{node}").read_text())

    def time_s(self, what, node):
        return self.trace(what, node)[0]

    def pid(self, node):
        return self.trace("start", node)[1]

    def nodes_that_did(self, what):
        return {file.name.split("-")[1] for file in self.folder.glob(f"{what}-*")}


def readings_by_node(ids):
    return dict(
        zip(ids, (reading(2.0, energy(1.0, 10.0, 0.5)), reading(3.0, energy(2.0, 30.0, 0.25))), strict=True)
    )


@pytest.fixture
def fake(tmp_path, ids):
    return _Fake(tmp_path, readings_by_node(ids))


def measure_nodes(work, make_meter=None, nodes=None):
    """Run `work` here and measure all nodes meanwhile."""
    with open_nodes(make_meter, nodes) as meter:
        return meter.measure(work)[1]


def kill_meter(fake, node):
    os.kill(fake.pid(node), signal.SIGKILL)


@pytest.fixture(scope="module")
def measured(ids, tmp_path_factory):
    """One measurement that went well: its reading, its meters, and when the work began and ended."""
    fake, worked = _Fake(tmp_path_factory.mktemp("measured"), readings_by_node(ids)), []

    def work():
        worked.append(time.perf_counter())
        time.sleep(0.2)
        worked.append(time.perf_counter())

    return measure_nodes(work, fake), fake, worked


def test_sum_and_maximum_over_two_nodes(measured):
    together, fake, _ = measured
    assert together.duration_s == 3.0
    assert values(together.energy) == {"cpu": 3.0, "gpu": 40.0, "ram": 0.75, "ram_codecarbon": 1.5}
    assert together.energy.total_wh == 43.75
    assert methods(together.energy) == methods(next(iter(fake.readings.values())).energy)
    assert together.remarks == ()
    assert {node.node_id: node.reading for node in together.per_node} == fake.readings


def test_each_meter_is_on_its_node_and_runs_while_the_work_does(measured, ids):
    together, fake, (begun_s, ended_s) = measured
    assert (
        fake.nodes_that_did("open")
        == fake.nodes_that_did("start")
        == fake.nodes_that_did("stop")
        == fake.nodes_that_did("close")
        == set(ids)
    )
    assert fake.pid(ids[0]) != fake.pid(ids[1])
    for node in together.per_node:  # one machine, one clock
        assert fake.time_s("open", node.node_id) < fake.time_s("start", node.node_id) < node.started_s
        assert node.started_s < begun_s < ended_s < node.stopped_s
        assert node.stopped_s < fake.time_s("stop", node.node_id) < fake.time_s("close", node.node_id)
    assert together.work_duration_s == pytest.approx(ended_s - begun_s, abs=0.01)


def test_the_offset_of_a_clock_is_recorded_with_its_uncertainty(measured):
    for node in measured[0].per_node:  # one machine: the same clock
        assert abs(node.clock_offset_s) <= node.clock_offset_uncertainty_s
        assert 0 < node.clock_offset_uncertainty_s < 0.1


def test_two_nodes_on_one_machine_fail_the_check_for_counting_it_twice(measured):
    assert "one_meter_per_machine" in failed(measured[0], 2)


def test_a_meter_sees_the_gpus_of_its_node(measured, ids):
    """The actor asks Ray for no GPU; Ray must not take that for a reason to hide them."""
    assert [measured[1].trace("stop", node)[2] for node in ids] == [GPUS, GPUS]


def test_meters_serve_several_phases_and_survive_work_that_fails(fake, ids):
    def fail():
        raise ValueError("in the work")

    with open_nodes(fake) as meter:
        assert meter.measure(lambda: "load")[0] == "load"
        opened_s = fake.time_s("open", ids[0])
        with pytest.raises(ValueError, match="in the work"):
            meter.measure(fail)
        result, together = meter.measure(lambda: "inference")
    assert (result, together.duration_s) == ("inference", 3.0)
    assert fake.time_s("open", ids[0]) == opened_s
    assert_ends(fake.pid(ids[0]))


def assert_ends(pid):
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the meter lives on"
        time.sleep(0.05)


def test_a_chosen_node_alone_is_measured(fake, ids):
    together = measure_nodes(lambda: None, fake, nodes=ids[1:])
    assert [node.node_id for node in together.per_node] == ids[1:]
    assert together.energy.total_wh == 32.25
    assert fake.nodes_that_did("open") == {ids[1]}


def test_nodes_that_are_not_there_or_twice_are_refused(fake, ids):
    for nodes in ([], [ids[0], "f" * 56], [ids[0], ids[0]]):
        assert ids[1] in refusal(measure_nodes, lambda: None, fake, nodes)
    assert fake.nodes_that_did("open") == set()


@pytest.mark.parametrize("number", [0, 1])
def test_killing_the_meter_of_a_node_gives_one_line_and_no_result(fake, ids, number):
    line = refusal(measure_nodes, lambda: kill_meter(fake, ids[number]), fake)
    assert line.startswith("1 of 2 nodes not measured, expected all, so there is no result: node ")
    assert f"({ids[number][:8]}): its meter died" in line
    assert ids[1 - number][:8] not in line
    assert len(line) < 400


def test_killing_an_actor_through_ray_is_told_in_the_same_way(fake, ids):
    import ray

    with pytest.raises(TransientError, match=r"its meter died") as error, open_nodes(fake) as meter:
        meter.measure(lambda: ray.kill(meter._actors[ids[0]]))
    assert len(str(error.value).splitlines()) == 1


def test_all_meters_killed_are_told_in_one_line(fake, ids):
    line = refusal(measure_nodes, lambda: [kill_meter(fake, node) for node in ids], fake)
    assert line.startswith("2 of 2 nodes not measured")
    assert all(node[:8] in line for node in ids)


@pytest.mark.parametrize("broken", ["open", "start", "stop"])
def test_a_meter_that_raises_gives_one_line_with_its_words(fake, ids, broken):
    line = refusal(measure_nodes, lambda: None, replace(fake, broken=broken, node=ids[1]))
    assert f"({ids[1][:8]}): its meter failed to {broken}: OSError: two lines about {broken}" in line


def test_a_meter_that_hangs_is_not_waited_for_for_ever(fake, ids, monkeypatch):
    def hang():
        monkeypatch.setattr(several, "ANSWER_S", 1.0)
        monkeypatch.setattr(several, "CLOSE_S", 0.2)
        os.kill(fake.pid(ids[0]), signal.SIGSTOP)

    try:
        line = refusal(measure_nodes, hang, fake)
    finally:
        kill_meter(fake, ids[0])
    assert f"({ids[0][:8]}): no answer to 'stop' for 1 s" in line


def test_a_run_that_lost_a_meter_leaves_no_record(fake, ids, tmp_path):
    def run():
        with publish(tmp_path / "campaign" / "run") as folder:
            (folder / "predictions.parquet").touch()
            measure_nodes(lambda: kill_meter(fake, ids[0]), fake)

    assert "its meter died" in refusal(run)
    assert list((tmp_path / "campaign").iterdir()) == []


def test_a_dead_meter_is_told_where_the_work_fails_with_it(fake, ids):
    def fail():
        kill_meter(fake, ids[0])
        raise ConnectionError("server is gone")

    line = refusal(measure_nodes, fail, fake)
    assert "its meter died" in line
    assert line.endswith("the work failed, too: ConnectionError: server is gone")


def test_a_node_that_joins_or_dies_in_mid_run_gives_one_line_and_no_result(cluster, fake, ids):
    third = []

    def join():
        third.append(cluster.add_node(node_ip_address="127.0.0.4", **NODE))

    line = refusal(measure_nodes, join, fake)
    assert line.startswith("the Ray cluster changed during the measurement")
    assert third[0].node_id[:8] in line

    def die():
        cluster.remove_node(third[0], allow_graceful=False)
        kill_meter(fake, third[0].node_id)

    line = refusal(measure_nodes, die, fake)
    assert line.startswith("1 of 3 nodes not measured")
    assert re.search(rf"\({third[0].node_id[:8]}\): its meter (died|cannot be reached)", line)


def test_without_ray_the_line_says_how_to_get_it(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(several.importlib, "import_module", absent)
    line = refusal(measure_nodes, lambda: None)
    assert "pip install -e '.[nodes]'" in line
