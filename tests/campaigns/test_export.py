"""Export: what goes to an archive is complete, checked, described, and the same for the same runs; or nothing is."""

import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile

import pandas as pd
import pytest
import yaml

from helpers.campaigns.run.schedule import Invocation, add_invocations, read_run_order
from helpers.campaigns.transfer import export
from helpers.campaigns.transfer.export import export_campaign
from helpers.cli import main
from helpers.core import paths
from helpers.measure.parameters import campaign_runs
from helpers.publish.preview import PREVIEW
from helpers.publish.run_crate import METADATA
from helpers.records.checksums import NAME as SUMS
from helpers.records.environment import sha256_of
from helpers.records.hardware import detect
from helpers.records.storage import RECORD, read_record
from helpers.study.catalogue import ENTRIES, DatasetEntry, study
from tests.conftest import ROOT, make_checkout, refusal
from tests.publish.test_crates import check_files, entities, ids, validator
from tests.records.test_record import record_document

CAMPAIGN = "reference-gpu"
COMMITTED = paths.MEASUREMENTS / CAMPAIGN
RUNS = sorted(file.parent.name for file in COMMITTED.glob(f"*/{RECORD}"))
FILES = (RECORD, "notebook.ipynb", "predictions.parquet")
CALL = Invocation(began="2026-11-28T10:00:00Z", seed=7, machine="amd-epyc-2c", runs=RUNS[:1])
BESIDE = {"README.md", "LICENSE", "CITATION.cff", METADATA, PREVIEW, SUMS, "workflow/Snakefile"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose runs and archives are its own; nothing is committed in it."""
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "MEASUREMENTS", tmp_path / "measurements")
    monkeypatch.setattr(paths, "BUILD", tmp_path / "_build")
    return tmp_path


@pytest.fixture
def runs(project):
    """A copy of a committed campaign, as this machine's runs."""
    return shutil.copytree(COMMITTED, project / "runs" / CAMPAIGN)


@pytest.fixture
def run(runs):
    """One of its runs."""
    return runs / RUNS[3]


def names(file):
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def unpack(file, folder):
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    (top,) = folder.iterdir()
    return top


def left(project):
    """Every file and folder under _build, also hidden."""
    return sorted(str(item.relative_to(project)) for item in project.glob("_build/**/*"))


def change(file, edit):
    """Edit a JSON document and, where it is no record, its hash in the record."""
    document = json.loads(file.read_text(encoding="utf-8"))
    edit(document)
    file.write_text(json.dumps(document), encoding="utf-8")
    relist(file)


def relist(file):
    """Write the hash of a changed file into its record."""
    if file.name != RECORD:
        change(
            file.parent / RECORD,
            lambda document: document["files"].update({file.name: sha256_of(file)}),
        )


def write_record(base, campaign, **about):
    """Write the record of an invented run."""
    document = record_document(campaign=campaign, run_id=about.pop("run_id"))
    document["run"] |= about
    folder = base / campaign / document["run"]["run_id"]
    folder.mkdir(parents=True)
    (folder / RECORD).write_text(json.dumps(document), encoding="utf-8")
    return folder


# --- what is in it -----------------------------------------------------------------------------------------


def test_a_campaign_is_exported_whole_and_nothing_of_it_is_changed(project, runs, tmp_path):
    done = export_campaign(CAMPAIGN)
    assert (done.present, done.of, done.missing, done.other) == (8, 8, (), 0)
    assert done.runs == tuple(RUNS)
    file = project / "_build" / f"{CAMPAIGN}.zip"
    assert (done.file, done.size_bytes, done.sha256) == (str(file), file.stat().st_size, sha256_of(file))
    expected = {f"{run}/{name}" for run in RUNS for name in FILES} | BESIDE | {f"{CAMPAIGN}.yaml"}
    assert sorted(names(file)) == sorted(f"{CAMPAIGN}/{name}" for name in expected)
    folder = unpack(file, tmp_path / "elsewhere")
    for run in RUNS:
        for name in FILES:
            assert (folder / run / name).read_bytes() == (COMMITTED / run / name).read_bytes()
    assert (folder / f"{CAMPAIGN}.yaml").read_bytes() == (paths.CAMPAIGNS / f"{CAMPAIGN}.yaml").read_bytes()
    assert left(project) == [f"_build/{CAMPAIGN}.zip"]


def test_its_checksums_hold_for_every_file(project, runs, tmp_path):
    export_campaign(CAMPAIGN)
    folder = unpack(project / "_build" / f"{CAMPAIGN}.zip", tmp_path / "elsewhere")
    check = ["sha256sum", "--check", "--strict", SUMS]
    done = subprocess.run(check, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    listed = {line[66:] for line in (folder / SUMS).read_text(encoding="utf-8").splitlines()}
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert listed == files - {SUMS}
    (folder / RUNS[0] / RECORD).write_text("{}", encoding="utf-8")
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 1


def test_it_is_a_valid_crate_that_describes_all_of_it(project, runs, tmp_path, monkeypatch):
    add_invocations(runs / export.ORDER, [CALL])
    export_campaign(CAMPAIGN)
    folder = unpack(project / "_build" / f"{CAMPAIGN}.zip", tmp_path / "elsewhere")
    validate = validator(monkeypatch)
    assert validate(folder) == []
    assert not [message for message in validate(folder, "RECOMMENDED") if "README" in message]
    packed = entities(folder)
    described = names(project / "_build" / f"{CAMPAIGN}.zip")
    assert (
        check_files(folder, packed) == len(described) - 3
    )  # the description for machines and for people, and the checksums
    assert ids(packed["README.md"]["about"]) == {"./"}
    assert packed["./"]["datePublished"] == "2026-11-20"
    assert ids(packed["./"]["license"]) == {"https://creativecommons.org/licenses/by/4.0/"}


def test_the_crate_of_an_export_misses_what_is_taken_out_of_it(project, runs, tmp_path, monkeypatch):
    export_campaign(CAMPAIGN)
    folder = unpack(project / "_build" / f"{CAMPAIGN}.zip", tmp_path / "elsewhere")
    (folder / RUNS[0] / RECORD).unlink()
    assert validator(monkeypatch)(folder) != []


def test_it_says_how_to_check_to_import_and_to_cite(project, runs, tmp_path):
    export_campaign(CAMPAIGN)
    folder = unpack(project / "_build" / f"{CAMPAIGN}.zip", tmp_path / "elsewhere")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "8 of the 8 runs of the campaign are included." in readme
    assert "2026-11-20, on intel-xeon-16c-1x-nvidia-h200" in readme
    for message in ("sha256sum --check SHA256SUMS", f"python -m helpers import {CAMPAIGN}.zip", "CC-BY-4.0"):
        assert message in readme
    for name in (BESIDE | {f"{CAMPAIGN}.yaml"}) - {"README.md"}:
        assert f"`{name}`" in readme, name
    licence = (folder / "LICENSE").read_text(encoding="utf-8")
    assert "CC-BY-4.0" in licence
    assert (ROOT / "LICENSE").read_text(encoding="utf-8") in licence
    assert (folder / "CITATION.cff").read_bytes() == (ROOT / "CITATION.cff").read_bytes()


def test_what_no_record_lists_is_left_behind(project, runs, run):
    for name in ("raw_answers.parquet", "notes.txt", ".hidden", "record.json.bak"):
        (run / name).write_bytes(b"the text of a dataset")
    (runs / "other.failed.ipynb").write_text("{}", encoding="utf-8")
    (runs / f".{run.name}.lock").touch()
    shutil.copytree(run, runs / f".{run.name}.17.partial")
    (runs / "half").mkdir()
    (runs / "half" / "predictions.parquet").write_bytes(b"no record here")
    export_campaign(CAMPAIGN)
    packed = names(project / "_build" / f"{CAMPAIGN}.zip")
    assert len(packed) == 3 * len(RUNS) + len(BESIDE) + 1
    assert not [
        name for name in packed if "/." in name or "raw" in name or "failed" in name or "half" in name
    ]


def test_raw_answers_that_a_record_lists_are_refused(project, run):
    (run / "raw_answers.parquet").write_bytes(b"the text of a dataset")
    relist(run / "raw_answers.parquet")
    line = refusal(export_campaign, CAMPAIGN)
    assert line.startswith(f"{run / RECORD}: files.raw_answers.parquet: ")
    assert left(project) == []


def test_the_order_of_the_runs_is_part_of_it(project, runs, tmp_path):
    other = CALL.model_copy(update={"seed": 6})
    add_invocations(runs / export.ORDER, [CALL])
    add_invocations(project / "measurements" / CAMPAIGN / export.ORDER, [other, CALL])
    export_campaign(CAMPAIGN)
    folder = unpack(project / "_build" / f"{CAMPAIGN}.zip", tmp_path / "elsewhere")
    assert read_run_order(folder / export.ORDER) == [other, CALL]
    assert f"`{export.ORDER}`" in (folder / "README.md").read_text(encoding="utf-8")


# --- the same runs, the same bytes --------------------------------------------------------------------------


def test_the_same_runs_give_the_same_bytes_and_a_changed_run_others(project, runs, run, tmp_path):
    first, second = tmp_path / "a" / "x.zip", tmp_path / "b.zip"
    export_campaign(CAMPAIGN, first)
    for file in runs.rglob("*"):
        file.touch()
    (run / "notebook.ipynb").chmod(0o600)
    export_campaign(CAMPAIGN, second)
    assert first.read_bytes() == second.read_bytes()
    for folder in (str(project), str(ROOT)):
        assert not any(folder.encode() in unpacked for unpacked in contents(first))
    change(run / RECORD, lambda document: document.update(created="2026-11-21T00:00:00Z"))
    export_campaign(CAMPAIGN, second)
    assert first.read_bytes() != second.read_bytes()


def contents(file):
    with zipfile.ZipFile(file) as archive:
        return [archive.read(name) for name in archive.namelist()]


def test_it_goes_to_another_checkout_and_comes_back_the_same(tmp_path):
    first, second = make_checkout(tmp_path / "a"), make_checkout(tmp_path / "b")
    shutil.rmtree(second.root / "data" / "measurements" / CAMPAIGN)
    (tmp_path / "out").mkdir()
    done = first.helpers("export", CAMPAIGN, "--to", str(tmp_path / "out" / "x.zip"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert (document["runs"], document["present"], document["of"]) == (RUNS, 8, 8)
    (first.root / "new.txt").write_text("another commit", encoding="utf-8")
    for command in (
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=first.root, check=True)
    assert first.helpers("export", CAMPAIGN).returncode == 0
    assert sha256_of(first.root / "_build" / f"{CAMPAIGN}.zip") == document["sha256"]

    brought = second.helpers("import", str(tmp_path / "out" / "x.zip"), "--json")
    assert brought.returncode == 0, brought.stderr
    assert [item["state"] for item in json.loads(brought.stdout)] == ["imported"] * 8
    for name in RUNS:
        folder = second.root / "runs" / CAMPAIGN / name
        assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
        assert read_record(folder / RECORD) == read_record(COMMITTED / name / RECORD)
    folder = unpack(tmp_path / "out" / "x.zip", tmp_path / "elsewhere")
    again = second.helpers("import", str(folder.parent))
    assert again.stdout.splitlines()[-1] == "8 duplicate"


# --- where the records come from ----------------------------------------------------------------------------


def test_a_run_that_was_promoted_is_in_it_once(project, runs):
    shutil.copytree(COMMITTED / RUNS[0], project / "measurements" / CAMPAIGN / RUNS[0])
    assert export_campaign(CAMPAIGN).runs == tuple(RUNS)


def test_runs_of_both_places_are_put_together(project, runs):
    (project / "measurements" / CAMPAIGN).mkdir(parents=True)
    for name in RUNS[:5]:
        (runs / name).rename(project / "measurements" / CAMPAIGN / name)
    assert export_campaign(CAMPAIGN).runs == tuple(RUNS)


def test_two_records_of_a_run_are_a_conflict_that_names_both(project, run):
    other = shutil.copytree(COMMITTED / run.name, project / "measurements" / CAMPAIGN / run.name)
    change(run / RECORD, lambda document: document.update(created="2026-11-21T00:00:00Z"))
    line = refusal(export_campaign, CAMPAIGN)
    assert str(run / RECORD) in line
    assert str(other / RECORD) in line
    assert "2026-11-21T00:00:00Z" in line
    assert left(project) == []


def test_a_campaign_without_all_its_runs_is_exported_and_says_so(project, runs, tmp_path):
    for name in RUNS[:3]:
        shutil.rmtree(runs / name)
    done = export_campaign(CAMPAIGN)
    assert (done.present, done.of, len(done.missing)) == (5, 8, 3)
    assert "linear-embedding on emotion" in done.missing
    folder = unpack(project / "_build" / f"{CAMPAIGN}.zip", tmp_path / "elsewhere")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "5 of the 8 runs of the campaign are included. Missing: " in readme
    assert "linear-embedding on emotion" in readme


def write_runs_of_the_paper(base):
    """Records of two runs on Capella, one of them shown nowhere, of one on Paula, and of one that has left the grid."""
    written = {}
    for run in campaign_runs("paper"):
        machine = run.parameters.machine
        plan = run.on(machine, detect())
        kind = "reconstructed" if run.reconstruction and machine == "capella" else machine
        if kind not in written:
            about = {"machine": machine, "model": plan.parameters.model, "dataset": plan.parameters.dataset}
            written[kind] = write_record(base, "paper", run_id=plan.run_id, **about).name
    written["old"] = write_record(base, "paper", run_id="fktg-linear-bow-00000000", machine="capella").name
    return written


def test_a_part_of_a_campaign_is_its_runs_alone_and_the_whole_is_everything(project, tmp_path):
    written = write_runs_of_the_paper(project / "runs")
    part = export_campaign("paper-capella")
    assert part.runs == (written["capella"],)
    assert (part.filed_under, part.present, part.other) == ("paper", 1, len(written) - 1)
    assert part.of == len(campaign_runs("paper-capella"))
    folder = unpack(project / "_build" / "paper-capella.zip", tmp_path / "elsewhere")
    assert folder.name == "paper-capella"
    assert {file.name for file in folder.glob("*.yaml")} == {"paper.yaml", "paper-capella.yaml"}
    assert entities(folder)["./"]["name"] == "Runs of the campaign paper-capella"
    whole = export_campaign("paper")
    assert sorted(whole.runs) == sorted(written.values())
    assert (whole.present, whole.of, whole.other) == (len(written) - 1, len(campaign_runs("paper")), 1)


def test_a_part_of_which_nothing_was_measured_is_refused(project):
    write_record(project / "runs", "paper", run_id="fktg-linear-bow-00000000", machine="capella")
    line = refusal(export_campaign, "paper-paula")
    assert line.startswith("export paper-paula: no run of it in ")
    assert line.endswith("python -m helpers run paper-paula")


def test_a_run_that_two_machines_measured_counts_once_and_is_in_it_twice(project):
    run = campaign_runs("reference-cpu")[0]
    for machine in ("box", "other-box"):
        plan = run.on(machine, detect())
        write_record(project / "runs", "reference-cpu", run_id=plan.run_id, machine=machine)
    done = export_campaign("reference-cpu")
    assert (len(done.runs), done.present, done.other) == (2, 1, 0)


def test_a_run_with_a_checkpoint_in_a_folder_is_known_by_what_its_record_says(checkout):
    grid = {"model": ["linear-embedding", "xgboost-embedding"], "checkpoint": "./mine", "splits": 3}
    checkout.campaign("mine", grid)
    write_record(checkout.root / "runs", "mine", run_id="from-elsewhere", model="linear-embedding")
    done = checkout.helpers("export", "mine", "--json")
    document = json.loads(done.stdout)
    assert (document["present"], document["of"], document["other"]) == (1, 2, 0)
    assert document["missing"] == ["xgboost-embedding on fktg-sample"]


def test_runs_of_a_campaign_that_is_in_no_catalogue_are_exported(project, tmp_path, capsys):
    write_record(project / "runs", "local", run_id="a-run")
    assert main(["export", "local"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert ".zip: 1 run, " in first
    assert second.startswith("local is not in the catalogue")
    packed = names(project / "_build" / "local.zip")
    assert sorted(packed) == sorted(f"local/{name}" for name in BESIDE | {f"a-run/{RECORD}", ENTRIES})


def test_entries_that_are_not_the_papers_travel_with_the_runs(project, tmp_path):
    write_record(project / "runs", "local", run_id="a-run")
    export_campaign("local")
    folder = unpack(project / "_build" / "local.zip", tmp_path / "elsewhere")
    entries = yaml.safe_load((folder / ENTRIES).read_text(encoding="utf-8"))
    run = read_record(folder / "a-run" / RECORD).run
    assert {kind: list(named) for kind, named in entries.items()} == {"datasets": [run.dataset]}
    assert DatasetEntry.model_validate(entries["datasets"][run.dataset]) == study().datasets[run.dataset]
    assert f"`{ENTRIES}`: models and datasets" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["referense-gpu", "../runs", "..", "", "a/b", ".hidden"])
def test_an_unknown_campaign_is_refused(project, name):
    (project / "runs" / ".hidden").mkdir(parents=True)
    assert refusal(export_campaign, name).startswith("unknown campaign ")
    assert left(project) == []


# --- faults: one line, and nothing written ------------------------------------------------------------------


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("spoil", [flip, lambda file: file.unlink()])
def test_a_file_that_is_not_what_the_record_says_refuses_all(project, run, name, spoil):
    spoil(run / name)
    assert refusal(export_campaign, CAMPAIGN).startswith(f"{run / RECORD}: files.{name}: ")
    assert left(project) == []
    assert not (project / "_build").exists()


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda document: document.update(schema_version=6), "schema_version"),
        (lambda document: document["run"].update(campaign="elsewhere"), "run.campaign"),
        (lambda document: document["run"].update(run_id="another"), "run.run_id"),
        (lambda document: document["files"].update({"../../x": "a" * 64}), "files"),
        (lambda document: document["splits"].pop(), "splits"),
    ],
)
def test_a_record_that_is_not_valid_refuses_all(project, run, edit, field):
    change(run / RECORD, edit)
    line = refusal(export_campaign, CAMPAIGN)
    assert line.startswith(f"{run / RECORD}: ")
    assert field in line
    assert left(project) == []


def test_what_was_exported_before_stays_where_a_new_export_is_refused(project, run):
    export_campaign(CAMPAIGN)
    before = (project / "_build" / f"{CAMPAIGN}.zip").read_bytes()
    flip(run / "predictions.parquet")
    refusal(export_campaign, CAMPAIGN)
    assert left(project) == [f"_build/{CAMPAIGN}.zip"]
    assert (project / "_build" / f"{CAMPAIGN}.zip").read_bytes() == before


def test_a_file_that_changes_while_it_is_copied_is_noticed(project, run, monkeypatch):
    copy = shutil.copyfile

    def then_changed(source, target):
        copy(source, target)
        if source == run / "predictions.parquet":
            flip(target)

    monkeypatch.setattr(export.shutil, "copyfile", then_changed)
    assert refusal(export_campaign, CAMPAIGN).startswith(f"{run / RECORD}: files.predictions.parquet: ")
    assert left(project) == []


# --- what must not leave the machine ------------------------------------------------------------------------

SECRET = "hf_" + "a1B2c3D4" * 4


def show(text):
    """An edit that lets a notebook's fourth cell show a text."""
    output = {"output_type": "stream", "name": "stdout", "text": ["fine\n", text]}
    return lambda document: document["cells"][4]["outputs"].append(output)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("served by node17.example.org", "host name 'node17.example.org'"),
        ("kept in /home/someone/model", "the path /home/someone/model"),
        (f"logged in with {SECRET}", "a token"),
        (f"from {ROOT}/data", "folder of the project"),
    ],
)
def test_a_notebook_that_tells_of_a_machine_or_a_person_is_refused_with_its_cell(
    project, run, monkeypatch, text, message
):
    import socket

    monkeypatch.setattr(socket, "gethostname", lambda: "node17.example.org")
    change(run / "notebook.ipynb", show(text))
    line = refusal(export_campaign, CAMPAIGN)
    assert line.startswith(f"{run / 'notebook.ipynb'}: cells.4.outputs.1.text: {message}, ")
    assert SECRET not in line
    assert left(project) == []


def test_so_is_a_record_with_its_field(project, run):
    change(run / RECORD, lambda document: document["environment"].update(os="Linux, /home/someone/linux"))
    assert refusal(export_campaign, CAMPAIGN).startswith(f"{run / RECORD}: environment.os: the path ")
    assert left(project) == []


def test_so_is_a_table_with_its_column(project, run):
    file = run / "predictions.parquet"
    table = pd.read_parquet(file)
    table.assign(id="/home/someone/1").to_parquet(file, index=False)
    relist(file)
    assert refusal(export_campaign, CAMPAIGN).startswith(f"{file}: id: the path /home/someone/1, ")
    assert left(project) == []


def test_so_is_the_order_of_the_runs(project, runs):
    (runs / export.ORDER).write_text('{"host": "/home/someone"}', encoding="utf-8")
    assert refusal(export_campaign, CAMPAIGN).startswith(f"{runs / export.ORDER}: host: the path ")
    assert left(project) == []


def test_what_is_no_zip_file_is_never_replaced(project, runs, tmp_path):
    file = tmp_path / "notes.md"
    file.write_text("mine", encoding="utf-8")
    assert "exists and is no ZIP file; remove it, or give another --to" in refusal(
        export_campaign, CAMPAIGN, file
    )
    assert file.read_text(encoding="utf-8") == "mine"


# --- a place that cannot be written -------------------------------------------------------------------------


def test_a_file_in_the_way_of_the_folder_is_one_line(project, runs):
    (project / "_build").write_text("in the way", encoding="utf-8")
    line = refusal(export_campaign, CAMPAIGN)
    assert line.startswith(f"export {CAMPAIGN}: {project}/_build/{CAMPAIGN}.zip cannot be written: ")
    assert (project / "_build").read_text(encoding="utf-8") == "in the way"


def test_a_folder_in_place_of_the_file_is_one_line(project, runs):
    assert "is a folder; expected a file: --to FILE.zip" in refusal(export_campaign, CAMPAIGN, project)


def test_a_disk_that_takes_no_more_leaves_nothing_half_written(tmp_path):
    target = tmp_path / "out" / "x.zip"
    target.parent.mkdir()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x", "what was there")
    before = target.read_bytes()
    limit = 100_000  # bytes of a file: each of a run's is smaller, the archive is larger
    done = subprocess.run(
        [sys.executable, "-m", "helpers", "export", CAMPAIGN, "--to", str(target)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: export {CAMPAIGN}: {target} cannot be written: File too large; nothing was written\n"
    )
    assert [item.name for item in target.parent.iterdir()] == ["x.zip"]
    assert target.read_bytes() == before


def test_an_export_that_is_stopped_leaves_nothing(project, runs, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "write_zip", stop)
    with pytest.raises(KeyboardInterrupt):
        export_campaign(CAMPAIGN)
    assert left(project) == []


# --- the command line ---------------------------------------------------------------------------------------


def test_the_command_line_says_what_is_in_it(project, runs, capsys):
    shutil.rmtree(runs / RUNS[0])
    assert main(["export", CAMPAIGN, "--to", str(project / "x.zip")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{project}/x.zip: 7 runs, 0.1 MB, sha256 {sha256_of(project / 'x.zip')}"
    assert second == f"7 of the 8 runs of {CAMPAIGN} are in it; missing: linear-embedding on emotion"
    assert main(["export", "paper"]) == 2
    assert capsys.readouterr().err.startswith("error: export paper: no run of it in ")
    write_runs_of_the_paper(project / "runs")
    assert main(["export", "paper"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "records of no run of the current paper: 1, in it, too"
