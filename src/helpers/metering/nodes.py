"""Energy of a run over several nodes (paper, section 3.3), by one meter on each of them.

A Ray actor on each node holds that node's meter. All meters run before the work begins and until it has
ended. A node without a reading is an error and never a smaller sum. Ray comes with the extra `nodes`.
"""

import importlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from helpers.core.errors import TransientError, UserError
from helpers.core.files import last_line
from helpers.metering.node_actor import MakeMeter, NodeActor, this_machine
from helpers.metering.node_readings import NodeReading, NodesReading, combine

ANSWER_S = 60.0
"""A node that takes longer to answer is taken for dead."""
CLOSE_S = 10.0
PROBES = 9
"""Round trips to a node's clock, before and after the work."""

ResultT = TypeVar("ResultT")


@contextmanager
def open_nodes(
    make_meter: MakeMeter | None = None, nodes: Sequence[str] | None = None
) -> "Iterator[NodesMeter]":
    """Open a meter on each node of the Ray cluster and close them at the end.

    Args:
        make_meter: opens the meter on a node; the meter of that machine where None.
        nodes: Ray's ids of the nodes that take part; all nodes of the cluster where None.

    Raises:
        UserError: one line where Ray, the cluster, a node or a meter is missing.
    """
    ray = _ray()
    connected_here = not ray.is_initialized()
    if connected_here:
        _connect(ray)
    try:
        meter = NodesMeter(ray, nodes)
        try:
            meter.open(make_meter or this_machine)
            yield meter
        finally:
            meter.close()
    finally:
        if connected_here:
            ray.shutdown()


class NodesMeter:
    """One meter per node; made by `open_nodes`."""

    def __init__(self, ray: Any, nodes: Sequence[str] | None) -> None:
        self._ray = ray
        self._whole_cluster = nodes is None
        self._hosts = _chosen(_alive(ray), nodes)
        self._machines: dict[str, str] = {}
        affinity = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        # No restart: a meter that came back would have lost what it had counted.
        remote = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(NodeActor)
        self._actors = {
            node: remote.options(scheduling_strategy=affinity(node, soft=False)).remote()
            for node in self._hosts
        }

    def open(self, make_meter: MakeMeter) -> None:
        """Open the meters, all at the same time."""
        self._machines = self._ask("open", make_meter)

    def close(self) -> None:
        """Close what still lives."""
        closing = [actor.close.remote() for actor in self._actors.values()]
        self._ray.wait(closing, num_returns=len(closing), timeout=CLOSE_S)
        for reference, actor in zip(closing, self._actors.values(), strict=True):
            with suppress(self._ray.exceptions.RayError):  # what was measured is known by now, or lost
                self._ray.get(reference, timeout=0)
            self._ray.kill(actor)

    def measure(self, work: Callable[[], ResultT]) -> tuple[ResultT, NodesReading]:
        """Run `work` once in this process; returns its result and what all nodes took.

        Raises:
            UserError: one line where a node has no reading.
        """
        before = self._offsets()
        started = self._ask("start")
        start = time.perf_counter()
        try:
            result = work()
        except BaseException as error:
            self._stop_after(error)
            raise
        work_s = time.perf_counter() - start
        stopped = self._ask("stop")
        offsets = {
            node: (min(low, before[node][0]), max(high, before[node][1]))
            for node, (low, high) in self._offsets().items()
        }
        self._check_cluster()
        per_node = tuple(
            NodeReading(
                node_id=node,
                hostname=self._hosts[node],
                clock_offset_s=(offsets[node][0] + offsets[node][1]) / 2,
                clock_offset_uncertainty_s=(offsets[node][1] - offsets[node][0]) / 2,
                reading=stopped[node][1],
                machine_id=self._machines[node],
                started_s=started[node],
                stopped_s=stopped[node][0],
            )
            for node in self._actors
        )
        return result, combine(per_node, work_s)

    def _stop_after(self, error: BaseException) -> None:
        """Stop the meters after work that failed: they can be used again; a dead one may be the cause."""
        try:
            self._ask("stop")
        except UserError as lost:
            if isinstance(error, Exception):
                failed = f"{lost}; the work failed, too: {type(error).__name__}: {error}"
                raise type(lost)(failed) from error

    def _offsets(self) -> dict[str, tuple[float, float]]:
        """Return the least and the largest offset of each node's clock that its round trips leave possible.

        The node read its clock between `sent_s` and `received_s`: the middle is the estimate, half the trip its
        uncertainty. The fastest trip says most.
        """
        trips: dict[str, list[tuple[float, float]]] = {node: [] for node in self._actors}
        for node in list(trips) * PROBES:
            sent_s = time.perf_counter()
            node_s = self._ask("clock", nodes=[node])[node]
            received_s = time.perf_counter()
            trips[node].append((node_s - received_s, node_s - sent_s))
        return {node: min(bounds, key=lambda trip: trip[1] - trip[0]) for node, bounds in trips.items()}

    def _ask(self, call: str, *arguments: object, nodes: Sequence[str] | None = None) -> dict[str, Any]:
        """Call all nodes at the same time and return their answers.

        Raises:
            TransientError: one line with the nodes without an answer: they died, or could not be reached in time.
            UserError: the same where a node can never be measured as it is.
        """
        asked = list(self._actors) if nodes is None else nodes
        references = {node: getattr(self._actors[node], call).remote(*arguments) for node in asked}
        self._ray.wait(list(references.values()), num_returns=len(references), timeout=ANSWER_S)
        answers, faults, passing = {}, [], True
        for node, reference in references.items():
            try:
                answers[node] = self._ray.get(reference, timeout=0)
            except self._ray.exceptions.RayError as error:
                faults.append(f"{_name(self._hosts, node)}: {_fault(self._ray, call, error)}")
                passing = passing and _passes(error)
        if faults:
            kind = TransientError if passing else UserError
            raise kind(
                f"{len(faults)} of {len(self._actors)} nodes not measured, expected all, so there is no result: "
                f"{'; '.join(faults)}; put that right and start the run again"
            )
        return answers

    def _check_cluster(self) -> None:
        """Refuse a cluster that is not the one that was measured.

        Raises:
            TransientError: one line with the nodes that came or went meanwhile.
        """
        now = _alive(self._ray)
        gone = [_name(self._hosts, node) for node in self._hosts if node not in now]
        new = [_name(now, node) for node in now if node not in self._hosts and self._whole_cluster]
        if gone or new:
            raise TransientError(
                f"the Ray cluster changed during the measurement (gone: {', '.join(gone) or 'none'}; joined "
                f"without a meter: {', '.join(new) or 'none'}), so there is no result; start the run again "
                "when all nodes are up"
            )


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UserError(
            "ray is not installed, expected to measure several nodes; on every node: pip install -e '.[nodes]'"
        ) from None


def _connect(ray: Any) -> None:
    try:
        # The nodes may have been started with the engine's Python; their meters need this project's.
        python = {"py_executable": sys.executable}
        ray.init(address="auto", runtime_env=python, log_to_driver=False, logging_level="warning")
    except ConnectionError:
        raise UserError(
            "no Ray cluster found, expected one over all nodes of the run; start it: `ray start --head` on one "
            "node, `ray start --address=HOST:6379` on the others, each with --disable-usage-stats"
        ) from None


def _alive(ray: Any) -> dict[str, str]:
    """Return host names by Ray's ids of the nodes."""
    return {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}


def _chosen(alive: dict[str, str], nodes: Sequence[str] | None) -> dict[str, str]:
    if nodes is None:
        return alive
    if not nodes or len(set(nodes)) < len(nodes) or not set(nodes) <= set(alive):
        raise UserError(
            f"nodes: found {', '.join(nodes) or 'none'}, expected different nodes of the Ray cluster: "
            f"{', '.join(alive)}; start Ray on those that are not in it"
        )
    return {node: alive[node] for node in nodes}


def _name(hosts: dict[str, str], node: str) -> str:
    return f"node {hosts[node]} ({node[:8]})"


def _fault(ray: Any, call: str, error: Exception) -> str:
    """Say in a few words why a node did not answer; Ray itself takes a page."""
    if isinstance(error, ray.exceptions.GetTimeoutError):
        return f"no answer to {call!r} for {ANSWER_S:g} s"
    cause = getattr(error, "cause", None)
    if cause is not None:
        cause_text = str(cause) if isinstance(cause, UserError) else f"{type(cause).__name__}: {cause}"
        return f"its meter failed to {call}: {cause_text}"
    if getattr(error, "actor_init_failed", False):  # not of the meter, which is made later: of an import
        return f"its meter cannot be made there, the node needs the same environment: {last_line(str(error))}"
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return "its meter cannot be reached"
    because = re.search(r"because (?:of )?(.*?)(?:\. |\.?\n|\.?$)", str(error))
    return f"its meter died ({because[1] if because else 'no reason known'})"


def _passes(error: Exception) -> bool:
    """Say whether a node may answer the next time: not where its environment or its meter's input is at fault."""
    cause = getattr(error, "cause", None)
    wrong = isinstance(cause, UserError) and not isinstance(cause, TransientError)
    return not (wrong or getattr(error, "actor_init_failed", False))
