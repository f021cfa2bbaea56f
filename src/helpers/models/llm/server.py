"""Serve a checkpoint while a block runs; nothing is left behind, however the block or this process ends."""

import errno
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import httpx

from helpers.core.errors import TransientError, UserError, nearest
from helpers.models.llm import watchdog
from helpers.models.llm.checkpoint import is_local
from helpers.models.llm.endpoint import Endpoint
from helpers.models.llm.engine import (
    EngineEntry,
    EngineSettings,
    command,
    cores,
    engine_entry,
    engine_python,
    engine_url,
    installed_engine,
    served_name,
)
from helpers.models.llm.engine_checks import cpu_cache_bytes
from helpers.models.llm.generation import Constraint
from helpers.models.llm.health_check import get, keeps_to, models, vllm, warm_up
from helpers.models.llm.server_log import exit_reason, fault
from helpers.models.llm.server_metrics import EngineCounters, read_counters, requests_open

HOST = "127.0.0.1"
KEY_VARIABLE = "COMPANION_LLM_API_KEY"
"""Environment variable with the key of an endpoint that runs already."""
SETTLE_S = 10.0
ENDED_S = 60.0


@dataclass(frozen=True)
class Server:
    """A server that answers; made by `serve`."""

    endpoint: Endpoint
    version: str | None
    """Version of the engine; None where an endpoint that runs already does not report it."""
    command: tuple[str, ...]
    """What was started, without the key and paths of this machine; empty for an endpoint that ran already."""
    ready_s: float
    """Seconds from the start until it had answered the warm-up completion."""
    log: Path | None
    counts: bool
    """Whether `/metrics` has vLLM's counters."""
    health: str = "/v1/models"
    """Path that answers while the server is well."""
    constraints: tuple[Constraint, ...] = get_args(Constraint)
    """Ways in which it may hold an answer to the categories; of an endpoint that ran already, all that there are."""
    watchdog_process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    """The watchdog, which ends the engine with this process."""

    def alive(self) -> bool:
        """Say whether the server still answers."""
        if self.watchdog_process is not None and self.watchdog_process.poll() is not None:
            return False
        try:
            return get(self.endpoint, self.health).is_success
        except httpx.HTTPError:
            return False

    def check_alive(self) -> None:
        """Check that the server still answers.

        Raises:
            UserError: one line with the server's last log lines where it does not.
        """
        if not self.alive():
            status = None if self.watchdog_process is None else self.watchdog_process.poll()
            ended = f"; it ended {exit_reason(status)}" if status else ""
            raise fault(f"the server of {self.endpoint.model} no longer answers{ended}", self.log)

    def constraint(self, timeout_s: float) -> Constraint:
        """Return how the server holds an answer to given texts, tried with one that no model gives by itself.

        Raises:
            UserError: one line where it does in no way that is known.
        """
        for way in self.constraints:
            if keeps_to(self.endpoint, way, timeout_s):
                return way
        raise UserError(
            f"output_mode=constrained: the server of {self.endpoint.model} does not hold its answers to the categories, "
            f"expected it to obey {' or '.join(get_args(Constraint))}; use output_mode=free, or engine=vllm"
        )

    def counters(self) -> EngineCounters | None:
        """Return what the engine has counted so far, once all requests have ended; None where it does not count.

        Raises:
            UserError: one line where the server does not answer or a request does not end.
        """
        if not self.counts:
            return None
        before, deadline = "", time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            try:
                text = get(self.endpoint, "/metrics").raise_for_status().text
            except httpx.HTTPError as error:
                raise fault(
                    f"the server of {self.endpoint.model} gives no counters ({type(error).__name__})",
                    self.log,
                ) from None
            if requests_open(text) == 0 and before and read_counters(text) == read_counters(before):
                return read_counters(text)
            before = text
            time.sleep(0.1)  # the engine counts a little after it has answered
        raise UserError(
            f"the server of {self.endpoint.model} still works on {requests_open(before)} requests {SETTLE_S:g} s after "
            "the last answer, expected none; is it used by somebody else?"
        )


@contextmanager
def serve(
    settings: EngineSettings, log: Path, timeout_s: float = 1800.0, port: int | None = None
) -> Iterator[Server]:
    """Start the engine, wait until it answers, and end it when the block ends.

    The engine's Python is `COMPANION_LLM_PYTHON`, by default `.venv-llm/bin/python` (`make llm`). Call
    `check_engine` first: it finds the common faults without a start. An endpoint that runs already is only
    asked whether it does; its key is `COMPANION_LLM_API_KEY`.

    Args:
        settings: what to serve.
        log: file for everything that the server prints; overwritten.
        timeout_s: longest time until it answers.
        port: port on the loopback interface; a free one where None.

    Raises:
        TransientError: one line where the port is in use.
        UserError: one line, with the server's last log lines, where it ends or does not answer in time.
    """
    if settings.runs_already:
        yield _running(settings, timeout_s)
        return
    python = engine_python()
    version = installed_engine(settings, python).version
    entry = engine_entry(settings)
    port = _free(port)
    values = {
        "python": str(python),
        "checkpoint": _at(settings, entry, _address(settings)),
        "name": served_name(settings),
        "port": str(port),
        "kv_cache_bytes": "" if settings.gpus else str(cpu_cache_bytes(settings)),
    }
    key = secrets.token_urlsafe(24)
    endpoint = Endpoint(url=f"http://{HOST}:{port}/v1", model=entry.name.format_map(values), api_key=key)
    shown = command(
        settings,
        {
            **values,
            "python": "python",
            "checkpoint": _at(settings, entry, served_name(settings)),
            "port": "PORT",
        },
    )
    scratch = tempfile.mkdtemp(prefix="llm-")  # a short path: names of sockets have to be
    environment = {**_environment(settings, scratch), **entry.environment}
    if settings.threads:
        environment |= {
            name: value.format(cores=cores(settings), threads=settings.threads)
            for name, value in entry.cpu_environment.items()
        }
    if entry.key_variable:
        environment[entry.key_variable] = key
    start = time.monotonic()
    watchdog_process = subprocess.Popen(
        [sys.executable, "-P", watchdog.__file__, str(log), scratch, *command(settings, values)],
        stdin=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C is for us, and we end it
    )
    try:
        _wait_until_ready(settings, endpoint, watchdog_process, log, timeout_s, entry.health)
        yield Server(
            endpoint=endpoint,
            version=version,
            command=tuple(shown),
            ready_s=time.monotonic() - start,
            log=log,
            counts=entry.counters,
            health=entry.health,
            constraints=(entry.constraint,) if entry.constraint else (),
            watchdog_process=watchdog_process,
        )
    finally:
        _end(watchdog_process)
        shutil.rmtree(scratch, ignore_errors=True)  # only a watchdog that was killed has left it


def _running(settings: EngineSettings, timeout_s: float) -> Server:
    """Return the endpoint that runs already, once it has answered."""
    endpoint = Endpoint(
        url=engine_url(settings), model=settings.checkpoint, api_key=os.environ.get(KEY_VARIABLE, "none")
    )
    start = time.monotonic()
    try:
        listed = get(endpoint, "/v1/models")
    except httpx.HTTPError as error:
        raise UserError(
            f"engine={settings.engine}: no answer ({type(error).__name__}: {error}); start the server, or check the address"
        ) from None
    if listed.status_code in (401, 403):
        raise UserError(
            f"engine={settings.engine}: the key was refused (HTTP {listed.status_code}); set {KEY_VARIABLE}"
        )
    names = models(listed)
    if names and endpoint.model not in names:
        raise UserError(
            f"engine={settings.engine}: it serves no model {endpoint.model!r} ({nearest(endpoint.model, names)})"
        )
    if refused := warm_up(endpoint, timeout_s):
        raise UserError(f"engine={settings.engine}: it does not answer the warm-up completion: {refused}")
    counts, version = vllm(endpoint)
    return Server(endpoint, version, (), time.monotonic() - start, None, counts)


def _free(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except OSError as error:
            kind = TransientError if error.errno == errno.EADDRINUSE else UserError
            raise kind(
                f"port {port} on {HOST} cannot be used ({error.strerror}), expected a free one; end the program that "
                "has it, or give no port"
            ) from None
        return int(probe.getsockname()[1])


def _address(settings: EngineSettings) -> str:
    local = is_local(settings.checkpoint)
    return str(Path(settings.checkpoint).expanduser().resolve()) if local else settings.checkpoint


def _at(settings: EngineSettings, entry: EngineEntry, checkpoint: str) -> str:
    """Return the checkpoint, with its revision where the engine takes it so."""
    return f"{checkpoint}@{settings.revision}" if entry.revision_in_name and settings.revision else checkpoint


def _environment(settings: EngineSettings, scratch: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    compiled = Path(tempfile.gettempdir()) / f"torchinductor_{_user()}"  # torch's own default
    variables = {"TORCHINDUCTOR_CACHE_DIR": str(compiled), **inherited, "TMPDIR": scratch, "NO_COLOR": "1"}
    if settings.gpus == 0:
        variables["CUDA_VISIBLE_DEVICES"] = ""  # what computes on the CPU shall not find a GPU
    if is_local(settings.checkpoint):
        variables |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return variables


def _user() -> str:
    """Return the user's name; the number where it has none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _wait_until_ready(
    settings: EngineSettings,
    endpoint: Endpoint,
    watchdog_process: "subprocess.Popen[bytes]",
    log: Path,
    timeout_s: float,
    health: str,
) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        if (status := watchdog_process.poll()) is not None:
            raise fault(f"{settings.engine} ended {exit_reason(status)} before it was ready", log)
        if time.monotonic() > deadline:
            raise fault(
                f"{settings.engine} was not ready within {timeout_s:g} s, give it more or find out why", log
            )
        try:
            if get(endpoint, health).is_success:
                break
        except httpx.HTTPError:
            pass  # it does not listen yet
        time.sleep(0.2)
    refused = warm_up(endpoint, max(deadline - time.monotonic(), 1.0))
    if refused or watchdog_process.poll() is not None:
        raise fault(
            f"{settings.engine} started but did not answer the warm-up completion: {refused or 'it ended'}",
            log,
        )


def _end(watchdog_process: "subprocess.Popen[bytes]") -> None:
    if watchdog_process.stdin is not None:
        watchdog_process.stdin.close()  # what the watchdog waits for
    watchdog_process.wait(ENDED_S)
