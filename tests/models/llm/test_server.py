"""Serving: the real vLLM on the CPU; and engines that fail on demand, small programs in place of the engine's Python.

Whatever happens, one clear line, and no process left.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from helpers.core.errors import TransientError, UserError
from helpers.models.llm import engine as engines
from helpers.models.llm import watchdog
from helpers.models.llm.engine_checks import EngineSettings
from helpers.models.llm.server import KEY_VARIABLE, Server, serve
from helpers.models.llm.server_metrics import EngineCounters
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("engine")  # one engine at a time is enough for two cores

ENDED_S = 30.0
"""An engine has 20 s to end by itself, and what it leaves behind 3; it takes 1 to 3."""
READY_S = 900.0
CORES = sorted(os.sched_getaffinity(0))


def processes() -> list[psutil.Process]:
    """Everything that this process has started, and what that has started."""
    return psutil.Process().children(recursive=True)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_all_end(started: list[psutil.Process], seconds: float = ENDED_S) -> None:
    assert started
    deadline = time.monotonic() + seconds
    while left := [process for process in started if alive(process)]:
        if time.monotonic() > deadline:
            for process in left:
                process.kill()
            pytest.fail(f"left behind: {left}")
        time.sleep(0.05)


def scratch_folders(started: list[psutil.Process]) -> set[Path]:
    """The folders for temporary files that the engine was given."""
    folders = set()
    for process in started:
        try:
            folders.add(process.environ().get("TMPDIR", ""))
        except psutil.Error:
            continue
    return {Path(folder) for folder in folders if Path(folder).name.startswith("llm-")}


def shared_memory(started: list[psutil.Process]) -> set[Path]:
    """The pieces of shared memory that processes have."""
    maps = []
    for process in started:
        try:
            maps += process.memory_maps()
        except psutil.Error:
            continue
    return {Path(part.path) for part in maps if part.path.startswith("/dev/shm/")}  # noqa: S108


def ask(server: Server, text: str = "Good morning", max_tokens: int = 8) -> httpx.Response:
    return httpx.post(
        f"{server.endpoint.url}/chat/completions",
        json={
            "model": server.endpoint.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": max_tokens,
            "temperature": 0,
        },
        headers={"Authorization": f"Bearer {server.endpoint.api_key}"},
        timeout=60,
    )


# The real engine


@pytest.fixture(scope="module")
def engine(llm_python: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(engines.PYTHON_VARIABLE, str(llm_python))
        yield


@pytest.fixture(scope="module")
def real(engine: None, random_checkpoint: Path) -> EngineSettings:
    """The tests that serve it do not care what it answers."""
    return EngineSettings(engine="vllm-eager", checkpoint=str(random_checkpoint), threads=len(CORES))


@pytest.fixture(scope="module")
def server(real: EngineSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real engine for all tests that leave it in peace; nothing may be left of it."""
    before = set(processes())
    with serve(real, tmp_path_factory.mktemp("serving") / "server.log", READY_S) as running:
        yield running
        started = [process for process in processes() if process not in before]
        folders, memory = scratch_folders(started), shared_memory(started)
    assert len(started) >= 4  # watchdog, server, engine, worker
    assert not any(map(alive, started))
    assert folders
    assert not any(path.exists() for path in folders | memory)


def test_a_real_engine_answers_and_says_what_it_is(server, random_checkpoint):
    assert server.alive()
    answer = ask(server)
    assert answer.json()["usage"]["completion_tokens"] == 8
    assert server.version == "0.32.0"
    assert server.endpoint.url.startswith("http://127.0.0.1:")
    assert server.endpoint.model == random_checkpoint.name
    assert server.command[:3] == ("python", "-m", "vllm.entrypoints.openai.api_server")
    assert "--no-enable-prefix-caching" in server.command
    assert not any("/" in part for part in server.command)  # no path of this machine
    print(f"ready after {server.ready_s:.1f} s")


def test_the_engine_computes_on_all_cores_that_it_was_given(server):
    assert f"core ids={CORES}" in server.log.read_text(encoding="utf-8")


def test_the_engine_keeps_to_given_answers_and_the_probe_shows_it(server):
    assert server.constraint(60.0) == "structured_outputs"


def test_the_key_is_random_needed_and_in_no_command_line(server):
    assert len(server.endpoint.api_key) >= 32
    assert server.endpoint.api_key not in repr(server)
    assert httpx.get(f"{server.endpoint.url}/models").status_code == 401
    for process in processes():
        assert server.endpoint.api_key not in " ".join(process.cmdline())


def test_it_listens_on_loopback_only(server):
    port = int(server.endpoint.url.split(":")[-1].removesuffix("/v1"))
    listening = [
        connection.laddr.ip
        for process in processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]
    assert set(listening) == {"127.0.0.1"}


def test_the_engine_counts_what_was_asked(server):
    before = server.counters()
    usages = [ask(server, f"Text {number} " * number, number).json()["usage"] for number in range(1, 8)]
    counted = server.counters() - before
    assert counted.requests == counted.ttft_count == 7
    assert counted.prompt_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert counted.generated_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert counted.prefix_hits == 0
    assert 0 < counted.ttft_sum_s < 60
    assert server.counters() - before == counted


def test_an_endpoint_that_runs_already_is_used_by_its_url_and_left_running(server, tmp_path, monkeypatch):
    settings = EngineSettings(engine=server.endpoint.url, checkpoint=server.endpoint.model)
    monkeypatch.setenv(KEY_VARIABLE, server.endpoint.api_key)
    with serve(settings, tmp_path / "log") as other:
        assert ask(other).is_success
        assert isinstance(other.counters(), EngineCounters)
        assert other.version.startswith("0.32.0")
        assert other.command == ()
    assert server.alive()
    assert not (tmp_path / "log").exists()

    monkeypatch.setenv(KEY_VARIABLE, "wrong")
    assert f"HTTP 401); set {KEY_VARIABLE}" in start_refused(settings, tmp_path / "log")
    monkeypatch.setenv(KEY_VARIABLE, server.endpoint.api_key)
    other_model = EngineSettings(engine=server.endpoint.url, checkpoint="rando")
    assert "nearest: 'random'" in start_refused(other_model, tmp_path / "log")


def test_an_endpoint_that_does_not_run_is_one_line(tmp_path):
    settings = EngineSettings(engine="http://127.0.0.1:9/v1", checkpoint="x")
    assert "no answer (ConnectError" in start_refused(settings, tmp_path / "log")


def test_killing_the_real_engine_in_mid_run_is_one_line_and_leaves_nothing(real, tmp_path):
    before = set(processes())
    with serve(real, tmp_path / "log", READY_S) as running:
        started = [process for process in processes() if process not in before]
        memory = shared_memory(started)
        core = re.search(r"\(EngineCore pid=(\d+)\)", (tmp_path / "log").read_text())[1]
        victim = next(process for process in started if process.pid == int(core))
        victim.kill()
        assert_all_end([victim])
        deadline = time.monotonic() + 20
        while running.alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(UserError, match=r"the server of random no longer answers; .*log ends: ") as error:
            running.check_alive()
        assert len(str(error.value).splitlines()) == 1
    assert not any(map(alive, started))
    assert not any(path.exists() for path in memory)


SERVE = """
import sys, time
from pathlib import Path
from helpers.models.llm.engine_checks import EngineSettings
from helpers.models.llm.server import serve
with serve(EngineSettings(engine="vllm-eager", checkpoint=sys.argv[1]), Path(sys.argv[2]), 300):
    print("ready", flush=True)
    time.sleep(600)
"""


def start(checkpoint: Path, log: Path, **options: object) -> "subprocess.Popen[str]":
    """Serve in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, str(checkpoint), str(log)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def after(seconds: float) -> Callable[["subprocess.Popen[str]"], object]:
    return lambda _process: time.sleep(seconds)


def until_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout.readline() == "ready\n", process.stderr.read()


@pytest.mark.parametrize("moment", [after(3), after(9), until_ready], ids=["3s", "9s", "ready"])
def test_kill_9_of_the_process_that_serves_ends_the_real_engine(engine, random_checkpoint, tmp_path, moment):
    process = start(random_checkpoint, tmp_path / "log")
    moment(process)
    children = psutil.Process(process.pid).children(recursive=True)
    folders, memory = scratch_folders(children), shared_memory(children)
    process.kill()
    process.communicate()
    assert_all_end(children)
    assert folders
    assert not any(path.exists() for path in folders | memory)


# Engines that fail

FAKE = """#!{python}
import json, os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

if sys.argv[1] == "-c":  # it is asked for its package
    print("engine 0.0")
    sys.exit()
port = int(sys.argv[sys.argv.index("--port") + 1])


class Handler(BaseHTTPRequestHandler):
    completion = 200

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, {{"data": [{{"id": "m"}}]}})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.completion, {{"error": "no template\\nfor chats"}})


def answer():
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


print("one", "two", "three", "loading", sep="\\n", flush=True)
{body}
"""
STUBBORN = """
# A grandchild in a session of its own that ends for nothing but SIGKILL, as far from its parent as can be.
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen(
    [sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {stubborn!r}])"],
    start_new_session=True,
).wait()
time.sleep(0.5)
answer()
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], EngineSettings]:
    """Make an engine's Python of a few lines."""

    def make(body: str) -> EngineSettings:
        file = tmp_path / "python"
        file.write_text(FAKE.format(python=sys.executable, body=body))
        file.chmod(0o755)
        monkeypatch.setenv(engines.PYTHON_VARIABLE, str(file))
        checkpoint = tmp_path / "m"
        checkpoint.mkdir(exist_ok=True)
        for name, content in (("config.json", {}), ("tokenizer.json", {}), ("model.safetensors", "weights")):
            (checkpoint / name).write_text(json.dumps(content))
        return EngineSettings(engine="vllm-eager", checkpoint=str(checkpoint))

    return make


def start_refused(
    settings: EngineSettings, log: Path, kind: type[UserError] = UserError, **options: object
) -> str:
    before = set(processes())
    with pytest.raises(UserError) as error, serve(settings, log, **options):
        pytest.fail("it started")
    assert type(error.value) is kind
    line = str(error.value)
    assert len(line.splitlines()) == 1
    assert len(line) < 1500
    assert not [process for process in processes() if process not in before and alive(process)]
    return line


def test_an_engine_that_dies_at_the_start_tells_its_error_and_last_lines(fake, tmp_path):
    noise = "; ".join(f"print('line {number}')" for number in range(20))
    settings = fake(f"print('ValueError: the root of it all'); {noise}; sys.stdout.flush(); sys.exit(3)")
    line = start_refused(settings, tmp_path / "log")
    assert line.startswith("vllm-eager ended with status 3 before it was ready; ")
    assert line.endswith("log ends: ValueError: the root of it all | line 16 | line 17 | line 18 | line 19")


def test_an_engine_that_runs_out_of_memory_says_so(fake, tmp_path):
    line = start_refused(fake("os.kill(os.getpid(), signal.SIGKILL)"), tmp_path / "log")
    assert "ended by SIGKILL (out of memory?)" in line
    assert "; out of memory: end other programs on the machine, or take a smaller max_model_len" in line
    assert line.endswith("one | two | three | loading")


def test_a_worker_that_was_killed_is_the_reason_and_not_what_follows_from_it(fake, tmp_path):
    lines = [
        "ERROR Worker proc VllmWorker-1 died unexpectedly, shutting down.",
        "RuntimeError: cancelled",
        *"abcd",
    ]
    line = start_refused(fake(f"print(*{lines!r}, sep='\\n', flush=True); sys.exit(1)"), tmp_path / "log")
    assert "take a smaller max_model_len" in line
    assert "log ends: ERROR Worker proc VllmWorker-1 died unexpectedly, shutting down. | a | b" in line


def test_an_engine_that_finds_no_memory_on_the_gpu_says_what_helps(fake, tmp_path):
    error = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB."
    line = start_refused(fake(f"print({error!r}, flush=True); sys.exit(1)"), tmp_path / "log")
    assert "; out of memory: " in line
    assert "more gpus or a smaller model" in line
    assert error in line


def test_an_engine_whose_port_was_taken_meanwhile_may_start_the_next_time(fake, tmp_path):
    settings = fake("other = HTTPServer(('127.0.0.1', port), Handler); answer()")  # really bound, twice
    line = start_refused(settings, tmp_path / "log", kind=TransientError)
    assert "Address already in use" in line
    assert "start again" in line


def test_an_engine_that_is_never_ready_ends_at_the_time_out_with_its_last_lines(fake, tmp_path):
    begin = time.monotonic()
    line = start_refused(fake("time.sleep(600)"), tmp_path / "log", timeout_s=1.5)
    assert "was not ready within 1.5 s" in line
    assert line.endswith("log ends: one | two | three | loading")
    assert time.monotonic() - begin < 10


def test_health_alone_is_not_ready_a_completion_has_to_work(fake, tmp_path):
    line = start_refused(fake("Handler.completion = 500; answer()"), tmp_path / "log")
    assert "did not answer the warm-up completion: HTTP 500: " in line
    assert "no template" in line


def test_an_engine_that_hangs_in_the_warm_up_ends_at_the_time_out(fake, tmp_path):
    settings = fake("Handler.do_POST = lambda self: time.sleep(600)\nanswer()")
    assert "warm-up completion: ReadTimeout" in start_refused(settings, tmp_path / "log", timeout_s=3)


def test_a_port_in_use_is_refused_before_anything_starts(fake, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = start_refused(fake("answer()"), tmp_path / "log", kind=TransientError, port=port)
    assert line.startswith(f"port {port} on 127.0.0.1 cannot be used (Address already in use)")
    assert not (tmp_path / "log").exists()


def test_a_given_port_is_used(fake, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serve(fake("answer()"), tmp_path / "log", 20, port) as running:
        assert running.endpoint.url == f"http://127.0.0.1:{port}/v1"


def test_an_exception_in_the_block_leaves_nothing_even_of_stubborn_processes(fake, tmp_path):
    before = set(processes())
    started = []

    def fail() -> None:
        with serve(fake(STUBBORN), tmp_path / "log", 20):
            started.extend(process for process in processes() if process not in before)
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block"):
        fail()
    assert len(started) == 3  # watchdog, engine, the stubborn one
    assert not any(map(alive, started))


def test_a_server_killed_in_mid_run_is_told_with_its_log_and_its_orphans_end(fake, tmp_path):
    before = set(processes())
    with serve(fake(STUBBORN), tmp_path / "log", 20) as running:
        started = [process for process in processes() if process not in before]
        next(
            process for process in started if process.cmdline()[1] == os.environ[engines.PYTHON_VARIABLE]
        ).kill()
        assert_all_end(started)
        assert not running.alive()
        with pytest.raises(UserError, match=r"the server of m no longer answers; .*loading"):
            running.check_alive()
        with pytest.raises(UserError, match=r"gives no counters \(ConnectError\)"):
            running.counters()


def test_a_watchdog_that_is_killed_takes_the_engine_with_it(fake, tmp_path):
    before = set(processes())
    with serve(fake("answer()"), tmp_path / "log", 20) as running:
        started = [process for process in processes() if process not in before]
        running.watchdog_process.kill()
        assert_all_end(started)
        assert not running.alive()


def test_an_engine_that_does_not_heed_its_end_is_killed_and_that_is_its_status(tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    log = tmp_path / "log"
    arguments = [str(log), str(tmp_path / "scratch"), sys.executable, "-c", deaf]
    patient = "watchdog.GRACE_S = 0.3; sys.exit(watchdog.main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; from helpers.models.llm import watchdog; {patient}", *arguments],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + ENDED_S
    while not (log.exists() and log.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    _out, complaint = process.communicate(timeout=ENDED_S)  # closes its standard input
    assert (process.returncode, complaint) == (watchdog.BY_SIGNAL + signal.SIGKILL, "")


@pytest.mark.parametrize(
    ("moment", "number"),
    [(after(1), signal.SIGKILL)]
    + [(until_ready, number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)],
    ids=["SIGKILL-loading", "SIGINT", "SIGTERM", "SIGKILL"],
)
def test_any_end_of_the_process_that_serves_ends_everything(fake, tmp_path, moment, number):
    settings = fake(STUBBORN)
    process = start(Path(settings.checkpoint), tmp_path / "log")
    moment(process)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)  # as a terminal does for Ctrl-C
    process.communicate(timeout=ENDED_S)
    assert process.returncode != 0
    if children:
        assert_all_end(children)
    assert not any(path.exists() for path in scratch_folders(children))


def test_the_key_of_another_endpoint_is_not_given_to_the_engine(fake, tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "of somebody else")
    settings = fake(f"print('given', os.environ.get({KEY_VARIABLE!r}), flush=True); answer()")
    with serve(settings, tmp_path / "log", 20):
        assert "given None" in (tmp_path / "log").read_text()
