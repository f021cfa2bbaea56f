"""Import: whole runs or nothing, checked, and never over what is there."""

import json
import shutil
import struct
import tempfile
import zipfile
from contextlib import suppress

import pytest

from helpers.campaigns.run.schedule import ORDER, Invocation, add_invocations, read_run_order
from helpers.campaigns.transfer import import_runs as importing
from helpers.campaigns.transfer import unpacking
from helpers.campaigns.transfer.import_runs import import_runs
from helpers.cli import main
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.lock import holding, run_lock
from helpers.records.environment import sha256_of
from helpers.records.storage import RECORD, read_record
from tests.conftest import refusal
from tests.records.test_record import record_document

CAMPAIGN = "trial"
RUN = "news-linear-bow-0123abcd"
SIDECARS = {"predictions.parquet": b"answers", "notebook.ipynb": b"{}"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project without runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(paths, "ROOT", folder)
    monkeypatch.setattr(paths, "RUNS", folder / "runs")
    monkeypatch.setattr(paths, "MEASUREMENTS", folder / "data" / "measurements")
    return folder


def write_run(base, run=RUN, campaign=CAMPAIGN, change=lambda _: None):
    """Write a finished run below a folder, as another machine leaves it."""
    folder = base / campaign / run
    folder.mkdir(parents=True)
    document = record_document(run_id=run, campaign=campaign)
    for name, content in SIDECARS.items():
        (folder / name).write_bytes(content)
        document["files"][name] = sha256_of(folder / name)
    change(document)
    (folder / RECORD).write_text(json.dumps(document), encoding="utf-8")
    return folder


def files_in(folder):
    """Every file below a folder, also hidden, with its bytes."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def states(imported):
    return [item.state for item in imported]


@pytest.fixture
def cluster(tmp_path):
    """What was copied from another machine."""
    return tmp_path / "cluster"


def test_a_run_is_copied_whole(project, cluster):
    source = write_run(cluster / "runs")
    (item,) = import_runs(cluster)
    assert (item.state, item.target, item.message) == ("imported", f"runs/{CAMPAIGN}/{RUN}", "")
    assert files_in(project) == {
        f"runs/{CAMPAIGN}/{RUN}/{name}": data for name, data in files_in(source).items()
    }
    assert read_record(project / "runs" / CAMPAIGN / RUN / RECORD) == read_record(source / RECORD)


@pytest.mark.parametrize("depth", ["", "a", "a/b/c/runs"])
def test_runs_are_found_at_any_depth(project, cluster, depth):
    for run in ("run-a", "run-b"):
        write_run(cluster / depth, run)
    assert states(import_runs(cluster)) == ["imported"] * 2


def test_the_folder_of_one_run_can_be_given(project, cluster):
    assert states(import_runs(write_run(cluster))) == ["imported"]


def test_what_the_record_does_not_list_is_left_behind(project, cluster):
    (write_run(cluster) / "raw_answers.parquet").write_bytes(b"the text of a dataset")
    import_runs(cluster)
    assert not any("raw" in name for name in files_in(project))


def test_runs_that_are_still_being_written_are_left_behind(project, cluster):
    write_run(cluster)
    shutil.copytree(cluster / CAMPAIGN / RUN, cluster / CAMPAIGN / f".{RUN}.17.partial")
    assert states(import_runs(cluster)) == ["imported"]


def test_a_second_import_tells_duplicates_and_changes_nothing(project, cluster):
    write_run(cluster)
    import_runs(cluster)
    before = {file: file.stat().st_mtime_ns for file in project.rglob("*")}
    (item,) = import_runs(cluster)
    assert (item.state, item.target) == ("duplicate", f"runs/{CAMPAIGN}/{RUN}")
    assert {file: file.stat().st_mtime_ns for file in project.rglob("*")} == before


@pytest.mark.parametrize("spoil", ["change", "remove"])
def test_of_a_run_that_is_here_already_the_files_are_repaired(project, cluster, spoil):
    write_run(cluster)
    here = write_run(project / "runs")
    before = files_in(project)
    file = here / "notebook.ipynb"
    file.unlink() if spoil == "remove" else file.write_bytes(b"other")
    (item,) = import_runs(cluster)
    assert (item.state, item.target) == ("repaired", f"runs/{CAMPAIGN}/{RUN}")
    assert item.message == "notebook.ipynb: missing or changed, now as the record says"
    assert files_in(project) == before


def test_what_was_committed_is_never_changed(project, cluster):
    write_run(cluster)
    (write_run(project / "data" / "measurements") / "notebook.ipynb").unlink()
    before = files_in(project)
    (item,) = import_runs(cluster)
    assert item.state == "duplicate"
    assert item.message.endswith("missing or changed there: notebook.ipynb; restore that with git")
    assert files_in(project) == before


def test_what_is_broken_on_both_sides_is_left_and_reported(project, cluster):
    (write_run(cluster) / "notebook.ipynb").write_bytes(b"other")
    (write_run(project / "runs") / "notebook.ipynb").unlink()
    before = files_in(project)
    (item,) = import_runs(cluster)
    assert item.state == "refused"
    assert "files.notebook.ipynb: sha256 is " in item.message
    assert files_in(project) == before


def test_a_run_on_other_data_than_those_here_is_a_conflict(project, cluster):
    write_run(project / "runs", "fktg-sample-linear-bow-00000000")
    other = "fktg-sample-xgboost-bow-00000000"
    write_run(cluster, other, change=lambda document: document["run"].update(dataset_sha256="0" * 64))
    before = files_in(project)
    (item,) = import_runs(cluster)
    assert item.state == "conflict"
    assert "it is on data of fktg-sample with sha256 000000000000..., the runs here on cccccc" in item.message
    assert files_in(project) == before


def test_a_run_that_is_being_measured_here_is_left_alone(project, cluster):
    write_run(cluster)
    target = project / "runs" / CAMPAIGN / RUN
    target.parent.mkdir(parents=True)
    half = target.with_name(f".{RUN}.999999999.partial")  # of another node, whose processes nobody here knows
    half.mkdir()
    with holding(run_lock(target), "-"):
        (item,) = import_runs(cluster)
    assert (item.state, half.is_dir()) == ("refused", True)
    assert item.message.endswith(": is being measured; import it when that has ended")
    assert states(import_runs(cluster)) == ["imported"]


def test_the_order_of_the_runs_is_added_to_what_is_known_of_it(project, cluster):
    write_run(cluster)
    second, here = (
        Invocation(began="2026-11-28T10:00:00Z", seed=seed, machine="m", runs=[RUN]) for seed in (1, 2)
    )
    add_invocations(cluster / CAMPAIGN / ORDER, [second])
    add_invocations(project / "runs" / CAMPAIGN / ORDER, [here])
    assert states(import_runs(cluster)) == ["imported"]
    assert states(import_runs(cluster)) == ["duplicate"]
    assert read_run_order(project / "runs" / CAMPAIGN / ORDER) == [second, here], "by time, then by seed"


def test_a_damaged_order_is_reported_and_the_runs_are_imported(project, cluster):
    write_run(cluster)
    (cluster / CAMPAIGN / ORDER).write_text("{", encoding="utf-8")
    imported = import_runs(cluster)
    assert states(imported) == ["imported", "refused"]
    assert imported[1].source == str(cluster / CAMPAIGN / ORDER)
    assert not (project / "runs" / CAMPAIGN / ORDER).exists()


@pytest.mark.parametrize("name", ["a\nimported   runs/x/y", "a\x1b[31m", "a\udcff"])
def test_what_a_folder_is_called_forges_no_line(project, cluster, capsys, name):
    write_run(cluster / name)
    shutil.copytree(cluster / name, cluster / "copy")
    (cluster / name / CAMPAIGN / RUN / RECORD).write_text("{", encoding="utf-8")
    assert main(["import", str(cluster)]) == 1
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    assert "\x1b" not in out
    assert out.startswith("refused    ")


def test_a_run_that_was_committed_is_a_duplicate(project, cluster):
    write_run(cluster)
    write_run(project / "data" / "measurements")
    (item,) = import_runs(cluster)
    assert (item.state, item.target) == ("duplicate", f"data/measurements/{CAMPAIGN}/{RUN}")
    assert not (project / "runs").exists()


@pytest.mark.parametrize("base", ["runs", "data/measurements"])
def test_another_record_of_the_run_is_a_conflict_and_left_alone(project, cluster, base):
    write_run(cluster)
    write_run(cluster, "run-b")
    write_run(project / base, change=lambda document: document.update(created="2026-11-21T00:00:00Z"))
    before = files_in(project)
    conflict, other = import_runs(cluster)
    assert states([conflict, other]) == ["conflict", "imported"]
    assert f"{base}/{CAMPAIGN}/{RUN} holds another record of this run" in conflict.message
    assert "2026-11-21T00:00:00Z" in conflict.message
    after = files_in(project)
    assert {name: after[name] for name in before} == before


def test_two_machines_with_the_same_run_are_a_conflict_of_the_second(project, cluster):
    write_run(cluster / "a")
    write_run(cluster / "b", change=lambda document: document.update(created="2026-11-21T00:00:00Z"))
    assert states(import_runs(cluster)) == ["imported", "conflict"]


@pytest.mark.parametrize("name", SIDECARS)
@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"other"), lambda file: file.unlink()])
def test_a_file_that_is_not_what_the_record_says_refuses_the_run_and_leaves_nothing(
    project, cluster, name, spoil
):
    source = write_run(cluster)
    write_run(cluster, "run-b", campaign="whole")
    spoil(source / name)
    refused, other = import_runs(cluster)
    assert states([refused, other]) == ["refused", "imported"]
    assert refused.message.startswith(f"{source / RECORD}: files.{name}: ")
    assert not (project / "runs" / CAMPAIGN).exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda document: document.update(schema_version=6), "schema_version"),
        (lambda document: document["run"].update(splits=4), "splits are not 0 to 3"),
        (lambda document: document["run"].update(run_id="another"), "run.run_id"),
        (lambda document: document["run"].update(campaign="../../evil"), "run.campaign"),
        (lambda document: document["run"].update(campaign="published"), "run.campaign"),
        (lambda document: document["files"].update({"../../evil": "a" * 64}), "files"),
        (lambda document: document["files"].update({"/etc/passwd": "a" * 64}), "files"),
        (lambda document: document["files"].update({"notebook.ipynb": "short"}), "files.notebook.ipynb"),
        (lambda document: document.update(created="2026-13-41T25:61:61Z"), "created"),
    ],
)
def test_an_invalid_record_is_refused_with_file_and_field(project, cluster, change, field):
    source = write_run(cluster, change=change)
    (item,) = import_runs(cluster)
    assert (item.state, item.target) == ("refused", None)
    assert item.message.startswith(str(source / RECORD))
    assert field in item.message
    assert files_in(project) == {}


def test_a_broken_record_of_ours_refuses_the_import_and_is_named(project, cluster):
    write_run(cluster)
    existing = write_run(project / "runs")
    (existing / RECORD).write_text("{", encoding="utf-8")
    (item,) = import_runs(cluster)
    assert item.state == "refused"
    assert f"runs/{CAMPAIGN}/{RUN}/{RECORD}: document:" in item.message


def test_a_folder_without_a_record_is_taken_for_what_is_left_of_a_run(project, cluster):
    write_run(cluster)
    left = project / "runs" / CAMPAIGN / RUN
    left.mkdir(parents=True)
    (left / "notebook.ipynb").write_text("old", encoding="utf-8")
    assert states(import_runs(cluster)) == ["imported"]
    assert (left / "notebook.ipynb").read_bytes() == SIDECARS["notebook.ipynb"]


def test_a_record_that_changes_while_it_is_copied_is_refused(project, cluster, monkeypatch):
    source = write_run(cluster)
    read = importing.read_record

    def then_changed(file):
        record = read(file)
        (source / RECORD).write_text(
            json.dumps(record_document(run_id=RUN, campaign=CAMPAIGN)), encoding="utf-8"
        )
        return record

    monkeypatch.setattr(importing, "read_record", then_changed)
    (item,) = import_runs(cluster)
    assert "changed while it was copied" in item.message
    assert files_in(project) == {}


def test_a_place_that_cannot_be_written_is_one_line(project, cluster):
    write_run(cluster)
    (project / "runs").write_text("a file in the way", encoding="utf-8")
    (item,) = import_runs(cluster)
    assert item.state == "refused"
    assert "runs" in item.message
    assert files_in(project) == {"runs": b"a file in the way"}


def test_a_folder_that_gives_nothing_is_refused(project, cluster):
    assert "no such folder" in refusal(import_runs, cluster)
    cluster.mkdir()
    assert f"no {RECORD} below it" in refusal(import_runs, cluster)


@pytest.mark.parametrize("given", ["", "runs", f"runs/{CAMPAIGN}"])
def test_our_own_runs_are_not_imported(project, given):
    write_run(project / "runs")
    assert "which already has runs" in refusal(import_runs, project / given)


def test_the_command_line_tells_every_run_and_its_status_says_whether_all_is_well(project, cluster, capsys):
    write_run(cluster)
    spoilt = write_run(cluster, "run-b")
    assert main(["import", str(cluster)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [f"imported   runs/{CAMPAIGN}/{RUN}", f"imported   runs/{CAMPAIGN}/run-b", "2 imported"]
    (spoilt / RECORD).write_text("{", encoding="utf-8")
    assert main(["import", str(cluster), "--json"]) == 1
    assert states_of(capsys.readouterr().out) == ["duplicate", "refused"]
    assert main(["import", str(cluster / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("error: import ")


def states_of(text):
    return [item["state"] for item in json.loads(text)]


# --- ZIP files ----------------------------------------------------------------------------------------------


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files, which has to be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def pack(file, base, top="export", more=()):
    """Pack a folder as others do, and further entries beside it: names or ZipInfo, with their content."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in sorted(base.rglob("*")):
            archive.write(item, f"{top}/{item.relative_to(base)}")
        for entry, content in more:
            archive.writestr(entry, content)
    return file


@pytest.fixture
def packed(cluster, tmp_path, scratch):
    """Pack two runs together with whatever a test adds."""
    for run in ("run-a", "run-b"):
        write_run(cluster, run)
    return lambda *more: pack(tmp_path / "brought.zip", cluster, more=more)


def test_a_zip_file_is_imported_as_the_folder_that_it_unpacks_to(project, cluster, packed, tmp_path):
    assert states(import_runs(packed())) == ["imported"] * 2
    assert files_in(project) == {f"runs/{name}": data for name, data in files_in(cluster).items()}
    again = import_runs(tmp_path / "brought.zip")
    assert states(again) == ["duplicate"] * 2
    assert again[0].source == f"{tmp_path}/brought.zip/export/{CAMPAIGN}/run-a/{RECORD}"


def test_what_is_wrong_with_a_run_in_a_zip_file_is_reported_by_its_place_in_it(project, cluster, packed):
    (cluster / CAMPAIGN / "run-a" / "notebook.ipynb").write_bytes(b"other")
    (cluster / CAMPAIGN / "run-b" / RECORD).write_text("{", encoding="utf-8")
    file = packed()
    first, second = import_runs(file)
    assert states([first, second]) == ["refused"] * 2
    assert first.message.startswith(f"{file}/export/{CAMPAIGN}/run-a/{RECORD}: files.notebook.ipynb: ")
    assert second.message.startswith(f"{file}/export/{CAMPAIGN}/run-b/{RECORD}: ")
    assert files_in(project) == {}


def test_a_zip_file_with_what_a_mac_adds_is_imported(project, packed):
    folder = zipfile.ZipInfo("__MACOSX/")
    file = packed((folder, b""), ("__MACOSX/._x", b"x"), ("./export/.DS_Store", b"x"))
    assert states(import_runs(file)) == ["imported"] * 2


def entry(name, mode=0o100644, method=zipfile.ZIP_DEFLATED):
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr, made.compress_type = 3, mode << 16, method
    return made


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (entry("../evil"), "leads out of the folder"),
        (entry("export/../../evil"), "leads out of the folder"),
        (entry("export/.."), "leads out of the folder"),
        (entry("../evil/"), "leads out of the folder"),
        (entry("/etc/evil"), "no path inside a folder"),
        (entry("//etc/evil"), "no path inside a folder"),
        (entry("..\\evil"), "no path inside a folder"),
        (entry("a\nimported   runs/x"), "no path inside a folder"),
        (entry("a\x1b[31m"), "no path inside a folder"),
        (entry("a" * 300), "cannot be unpacked in "),
        (entry("C:/evil"), "no path inside a folder"),
        (entry("link", 0o120777), "a link or a device"),
        (entry(f"export/{CAMPAIGN}/run-a", 0o120777), "a link or a device"),
        (entry("pipe", 0o010644), "a link or a device"),
        (entry("device", 0o020644), "a link or a device"),
        (entry(f"export/{CAMPAIGN}/run-a/{RECORD}"), "is in it twice"),
        (entry(f"./export//{CAMPAIGN}/run-a/{RECORD}"), "is in it twice"),
        (entry(f"EXPORT/{CAMPAIGN}/run-a/{RECORD}"), "is in it twice"),
        (entry("x", method=zipfile.ZIP_BZIP2), "compressed by another method"),
        (entry("x", method=zipfile.ZIP_LZMA), "compressed by another method"),
        (entry(f"export/{CAMPAIGN}"), "cannot be unpacked"),
        (entry(f"export/{CAMPAIGN}/run-a/{RECORD}/x"), "cannot be unpacked"),
        (entry("x" * 300), "cannot be unpacked"),
    ],
    ids=lambda value: value.filename[:40] if isinstance(value, zipfile.ZipInfo) else value,
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_zip_file_is_refused_whole(project, packed, tmp_path, hostile, message):
    file = packed((hostile, "../../../etc/passwd"))
    before = sorted(tmp_path.rglob("*"))
    line = refusal(import_runs, file)
    assert line.startswith(f"import {file}: ")
    assert message in line
    assert sorted(tmp_path.rglob("*")) == before


def rewritten(file, change):
    """Change the fields of the last entry of an archive: in the central directory and before the data."""
    data = bytearray(file.read_bytes())
    change(data, data.rindex(b"PK\x01\x02"), data.rindex(b"PK\x03\x04"))
    file.write_bytes(data)
    return file


def test_an_encrypted_entry_is_refused(project, packed):
    def encrypt(data, central, local):
        data[central + 8] |= 1
        data[local + 6] |= 1

    assert "encrypted" in refusal(import_runs, rewritten(packed(("x", b"y")), encrypt))


def test_a_name_with_a_null_in_it_is_refused(project, packed):
    def cut(data, central, local):
        for at in (central + 46, local + 30):
            data[at : at + 8] = b"x\0../yyy"

    assert "no path inside a folder" in refusal(import_runs, rewritten(packed(("12345678", b"y")), cut))


def test_more_than_the_disk_holds_is_refused_before_anything_is_unpacked(
    project, packed, scratch, monkeypatch
):
    file = packed(("zeros", bytes(60_000_000)))
    assert file.stat().st_size < 100_000
    usage = shutil.disk_usage(scratch)._replace(free=50_000_000)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(unpacking, "_unpack", None)
    line = refusal(import_runs, file)
    assert "unpacked it takes 60.1 MB" in line
    assert f"{scratch} has 50.0 MB left; set TMPDIR" in line


def test_a_zip_file_that_overstates_what_it_holds_is_refused(project, packed):
    def overstate(data, central, _):
        struct.pack_into("<I", data, central + 24, 1000)

    assert "'x' has 1 bytes, not 1000" in refusal(import_runs, rewritten(packed(("x", b"y")), overstate))
    assert files_in(project) == {}


def test_a_zip_file_that_understates_what_it_holds_gives_no_more_than_it_says(project, packed, monkeypatch):
    def understate(data, central, local):
        struct.pack_into("<I", data, central + 24, 10)
        struct.pack_into("<I", data, local + 22, 10)

    file = rewritten(packed(("zeros", bytes(60_000_000))), understate)
    written = []
    copy = shutil.copyfileobj

    def counted(source, target):
        try:
            copy(source, target)
        finally:
            written.append(target.tell())

    monkeypatch.setattr(unpacking.shutil, "copyfileobj", counted)
    assert "damaged: Bad CRC-32" in refusal(import_runs, file)
    assert max(written[-1:]) <= 10


def test_many_empty_entries_are_counted(project, packed, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_ENTRIES", 20)
    assert "expected at most 20" in refusal(import_runs, packed(*((f"x{i}", b"") for i in range(20))))


def test_a_file_that_is_no_zip_file_or_was_cut_is_refused(project, packed, tmp_path):
    whole = packed().read_bytes()
    file = tmp_path / "brought.zip"
    for content in (b"", b"no ZIP file", whole[:-30], whole[len(whole) // 2 :]):
        file.write_bytes(content)
        assert refusal(import_runs, file).startswith(f"import {file}: ")
        assert "damaged" in refusal(import_runs, file)
    assert files_in(project) == {}


def test_whatever_byte_is_changed_nothing_that_is_wrong_is_imported(project, packed, cluster):
    file = packed()
    whole = file.read_bytes()
    original = {f"runs/{name}": data for name, data in files_in(cluster).items()}
    for at in range(0, len(whole), 31):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        with suppress(UserError):
            import_runs(file)
        imported = files_in(project)
        assert {name: data for name, data in imported.items() if original.get(name) != data} == {}, at
        shutil.rmtree(project / "runs", ignore_errors=True)


def test_a_zip_file_without_a_record_is_refused_by_its_name(project, tmp_path, scratch):
    (tmp_path / "x").mkdir()
    file = pack(tmp_path / "brought.zip", tmp_path / "x", more=[("x/readme", b"")])
    assert refusal(import_runs, file).startswith(f"import {file}: no {RECORD} below it")


def test_an_import_that_is_stopped_leaves_no_temporary_folder(project, packed, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    file = packed()
    monkeypatch.setattr(importing, "_copy", stop)
    with pytest.raises(KeyboardInterrupt):
        import_runs(file)


def test_the_command_line_takes_a_zip_file(project, packed, capsys):
    assert main(["import", str(packed())]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 imported"
    assert main(["import", str(packed(("../x", b"")))]) == 2
    assert "'../x': leads out of the folder" in capsys.readouterr().err
