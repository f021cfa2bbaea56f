"""A real SLURM of two nodes on this machine: one controller, two node daemons, munge; started and ended by the tests.

The configuration has to be at its default place: Snakemake's executor clears `SLURM_*` in a job, and a private
`SLURM_CONF` would be lost there. Both nodes have the same cores: it schedules for real, and isolates nothing.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

CONF = Path("/etc/slurm")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scontrol")
NODES = {"n1": ("127.0.0.2", 16818), "n2": ("127.0.0.3", 16819)}
_OUR_MARK = "# made by the tests of the companion\n"
_SLURM_CONF = """\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmctldTimeout=30
SlurmdTimeout=10
InactiveLimit=0
KillWait=10
MinJobAge=300
GresTypes=gpu
{nodes}
PartitionName=debug Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


@dataclass(frozen=True)
class Slurm:
    """The running cluster."""

    folder: Path

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        subprocess.run(["slurmd", "-N", name], check=True, timeout=30)

    def kill_node(self, name: str) -> None:
        """Kill the daemon of a node with SIGKILL; what it had started runs on."""
        file = self.folder / f"slurmd.{name}.pid"
        with open(file, encoding="ascii") as text:  # noqa: PTH123  (its daemon may be writing it)
            psutil.Process(int(text.read())).kill()

    def queue(self) -> list[str]:
        """Return the states of all jobs in the queue."""
        return self.ask("squeue", "--noheader", "--format=%T").split()

    def ask(self, *command: str) -> str:
        """Run a command of SLURM and return what it prints."""
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def lacking() -> str | None:
    """Return why there can be no cluster here; None where there can."""
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(absent)} not found: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "a SLURM of its own needs root: its nodes start jobs as their users"
    file = CONF / "slurm.conf"
    if file.is_file() and not file.read_text(encoding="utf-8").startswith(_OUR_MARK):
        return f"{file} is somebody's: this machine belongs to a cluster"
    return None


@contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """Start the cluster, wait for its nodes, and leave nothing behind."""
    if (CONF / "slurm.conf").is_file():
        _shut_down()  # what a test left that was killed
    (folder / "state").mkdir(parents=True)
    _configure(folder)
    munge = _start_munge()
    slurm = Slurm(folder)
    try:
        subprocess.run(["slurmctld"], check=True, timeout=30)
        for name in NODES:
            slurm.start_node(name)
        _wait_until_idle(slurm)
        yield slurm
    finally:
        subprocess.run(["scancel", "--user=root"], check=False, capture_output=True, timeout=30)
        _shut_down()
        if munge is not None:
            munge.terminate()
        for name in ("slurm.conf", "gres.conf"):
            (CONF / name).unlink(missing_ok=True)


def _configure(folder: Path) -> None:
    host = socket.gethostname()
    cores = len(os.sched_getaffinity(0))
    memory_mb = int(psutil.virtual_memory().total / 2**20 * 0.9)
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr={address} Port={port} CPUs={cores} RealMemory={memory_mb} "
        "Gres=gpu:fake:1 State=UNKNOWN"
        for name, (address, port) in NODES.items()
    )
    CONF.mkdir(exist_ok=True)
    text = _SLURM_CONF.format(host=host, folder=folder, nodes=nodes)
    (CONF / "slurm.conf").write_text(_OUR_MARK + text, encoding="utf-8")
    (CONF / "gres.conf").write_text("NodeName=n[1-2] Name=gpu Type=fake File=/dev/null\n", encoding="utf-8")


def _start_munge() -> psutil.Process | None:
    """Start munge, unless it runs; returns what is to be ended."""
    if subprocess.run(["munge", "-n"], check=False, capture_output=True, timeout=10).returncode == 0:
        return None
    place = Path("/run/munge")
    place.mkdir(mode=0o755, exist_ok=True)
    shutil.chown(place, "munge", "munge")
    for stale in place.iterdir():
        stale.unlink()
    subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True, timeout=30)
    return psutil.Process(int((place / "munged.pid").read_text(encoding="ascii")))


def _wait_until_idle(slurm: Slurm) -> None:
    deadline = time.monotonic() + 30
    while slurm.ask("sinfo", "--noheader", "--Node", "--format=%t").split() != ["idle", "idle"]:
        assert time.monotonic() < deadline, slurm.ask("sinfo", "-N", "-l")
        time.sleep(0.1)


def _shut_down() -> None:
    subprocess.run(["scontrol", "shutdown"], check=False, capture_output=True, timeout=60)
    daemons = [
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] in ("slurmctld", "slurmd", "slurmstepd")
    ]
    psutil.wait_procs(daemons, 5)
    for process in daemons:
        if process.is_running():
            process.kill()
    psutil.wait_procs(daemons, 5)


_DBD_PORT, _SQL_PORT = 16820, 16821
_DBD_CONF = """\
AuthType=auth/munge
DbdHost=localhost
DbdPort={dbd_port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""


def lacking_accounting() -> str | None:
    """Return why the cluster can have no accounting here; None where it can."""
    absent = [name for name in ("slurmdbd", "mariadbd", "mariadb-install-db") if shutil.which(name) is None]
    return f"{', '.join(absent)} not found: apt-get install slurmdbd mariadb-server" if absent else None


@contextmanager
def accounting(slurm: Slurm, account: str) -> Iterator[None]:
    """Give the cluster a database for accounting, as most have one, with an account for root; and take it away again."""
    folder = slurm.folder / "accounting"
    folder.mkdir()
    conf = CONF / "slurm.conf"
    without = conf.read_text(encoding="utf-8")
    database = _start_database(folder)
    try:
        dbd = CONF / "slurmdbd.conf"
        dbd.touch(mode=0o600)
        dbd.write_text(
            _DBD_CONF.format(folder=folder, dbd_port=_DBD_PORT, sql_port=_SQL_PORT), encoding="utf-8"
        )
        subprocess.run(["slurmdbd"], check=True, timeout=60)
        storage = {"Type": "accounting_storage/slurmdbd", "Host": "localhost", "Port": _DBD_PORT}
        with_it = "\n".join(f"AccountingStorage{name}={value}" for name, value in storage.items())
        text = without.replace("AccountingStorageType=accounting_storage/none", with_it)
        conf.write_text(text, encoding="utf-8")
        _wait_for_answer("sacctmgr", "-i", "add", "cluster", "mini")
        slurm.ask("sacctmgr", "-i", "add", "account", account, "Cluster=mini")
        slurm.ask("sacctmgr", "-i", "add", "user", "root", f"Account={account}")
        _restart_controller(slurm)
        yield
    finally:
        conf.write_text(without, encoding="utf-8")
        _restart_controller(slurm)
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "slurmdbd":
                process.terminate()
        database.terminate()
        database.wait(60)
        (CONF / "slurmdbd.conf").unlink(missing_ok=True)


def _start_database(folder: Path) -> "subprocess.Popen[bytes]":
    data, socket_file = folder / "data", folder / "sql.sock"
    install = ["mariadb-install-db", "--user=root", f"--datadir={data}", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    serve = [
        *("mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket_file}"),
        *("--bind-address=127.0.0.1", f"--port={_SQL_PORT}", f"--pid-file={folder / 'sql.pid'}"),
        "--innodb-lock-wait-timeout=900",
    ]
    with (folder / "sql.log").open("wb") as log:
        database = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=log)
    user = "CREATE USER 'slurm'@'%' IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct_db.* TO 'slurm'@'%';"
    _wait_for_answer("mariadb", "--no-defaults", "--user=root", f"--socket={socket_file}", "-e", user)
    return database


def _restart_controller(slurm: Slurm) -> None:
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "slurmctld":
            process.terminate()
            psutil.wait_procs([process], 30)
    subprocess.run(["slurmctld"], check=True, timeout=30)
    _wait_until_idle(slurm)


def _wait_for_answer(*command: str) -> None:
    deadline = time.monotonic() + 60
    while (
        done := subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    ).returncode != 0:
        assert time.monotonic() < deadline, done.stdout + done.stderr
        time.sleep(0.5)
