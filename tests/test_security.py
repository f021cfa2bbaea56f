"""What a run or a reader must not be harmed by: open servers, foreign code, markup in data, and what a file tells.

Servers listen on loopback with a key of their own; no code of a checkpoint runs unasked; files are read by loaders that
make no objects; a string of a dataset or a record is text on every page; and nothing that is stored or published says
whose machine it was.
"""

import ast
import getpass
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from helpers.core import paths
from helpers.measure import parameters
from helpers.models.llm.engine import EngineSettings, command, engine_entry
from helpers.records.storage import RECORD, read_record
from helpers.study.catalogue import LanguageModel, study
from tests.conftest import ROOT, Checkout, make_checkout
from tests.support.browsing import HOSTILE, IMAGE, MARKDOWN, SCRIPT, html, one_book, pages

SETTINGS = {"model": "linear-tfidf", "dataset": "fktg-sample", "splits": 1, "window_s": 0.05}

# Servers (that they really listen on loopback only, with a key that is in no command line: test_server.py)

KNOWN = {"python": "python", "checkpoint": "c", "name": "n", "port": "1", "kv_cache_bytes": "1"}


@pytest.mark.parametrize(
    "name", yaml.safe_load((paths.STUDY / "engines.yaml").read_text(encoding="utf-8"))["engines"]
)
def test_every_engine_listens_on_loopback(name: str) -> None:
    settings = EngineSettings(engine=name, checkpoint="owner/name", prefix_caching=name == "llama-cpp")
    told = command(settings, KNOWN)
    assert told[told.index("--host") + 1] == "127.0.0.1"
    assert told.count("--host") == 1
    entry = engine_entry(settings)
    keys = {"vllm": "VLLM_API_KEY", "vllm-eager": "VLLM_API_KEY", "llama-cpp": "API_KEY"}
    assert entry.key_variable == keys.get(name)
    assert not any("key" in part for part in told)


FAKE = """#!{python}
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
if sys.argv[1] == "-c":
    print("engine 0.0")
    sys.exit()
with open({seen!r}, "a") as out:
    print(os.environ["VLLM_API_KEY"], *sys.argv, file=out)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.end_headers()
    do_POST = do_GET
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.mark.xdist_group("engine")
def test_every_start_has_a_key_of_its_own_and_tells_it_to_nobody(tmp_path, monkeypatch) -> None:
    from helpers.models.llm import engine
    from helpers.models.llm.server import serve

    program, seen, checkpoint = tmp_path / "python", tmp_path / "seen", tmp_path / "m"
    program.write_text(FAKE.format(python=sys.executable, seen=str(seen)), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv(engine.PYTHON_VARIABLE, str(program))
    checkpoint.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (checkpoint / name).write_text("{}", encoding="utf-8")
    keys = []
    for _ in range(2):
        with serve(
            EngineSettings(engine="vllm-eager", checkpoint=str(checkpoint)), tmp_path / "log"
        ) as server:
            keys.append(server.endpoint.api_key)
            assert not any(server.endpoint.api_key in part for part in server.command)
            assert server.endpoint.api_key not in (tmp_path / "log").read_text(encoding="utf-8")
    started = [line.split(" ") for line in seen.read_text(encoding="utf-8").splitlines()]
    assert [line[0] for line in started] == keys
    assert len({*keys}) == 2
    assert all(len(key) >= 32 for key in keys)
    assert not any(key in part for key in keys for line in started for part in line[1:])


# Foreign code


def test_no_model_of_the_study_runs_code_of_its_repository() -> None:
    models = [model for model in study().models.values() if isinstance(model, LanguageModel)]
    assert [model.title for model in models if model.trust_remote_code and not model.revision] == []
    assert [model.title for model in models if model.trust_remote_code] == []  # as models.yaml says


def trusting(**changes: object) -> LanguageModel:
    known = next(m for m in study().models.values() if isinstance(m, LanguageModel) and not m.is_folder)
    return LanguageModel.model_validate(known.model_dump() | {"trust_remote_code": True} | changes)


def test_code_of_a_repository_is_trusted_at_a_pinned_revision_only() -> None:
    assert trusting().trust_remote_code
    with pytest.raises(ValidationError, match="'trust_remote_code' needs 'revision'"):
        trusting(checkpoint="./folder", revision=None)
    with pytest.raises(ValidationError, match="needs 'revision'"):
        trusting(revision=None)


def test_a_checkpoint_that_is_given_does_not_inherit_the_trust(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(parameters.LlmPlan, "model", property(lambda _: trusting()))
    name = next(key for key, m in study().models.items() if isinstance(m, LanguageModel) and not m.is_folder)

    def served(**given: object) -> EngineSettings:
        chosen = parameters.plan({"model": name, "dataset": "news", **given}, "parameters", "llm")
        return chosen.served

    assert served().trust_remote_code
    assert served().revision
    assert not served(checkpoint=str(tmp_path)).trust_remote_code
    assert not served(engine="http://127.0.0.1:1/v1").trust_remote_code


ALLOWED = {
    ("src/helpers/core/validation.py", "yaml.load"): "its loader is a SafeLoader that refuses keys twice"
}
CALLS = re.compile(
    r"(?:yaml\.(?:load|load_all|full_load|unsafe_load)\w*|(?:c?pickle|cPickle|dill|marshal|joblib|shelve)\..+|torch\.load|"
    r"(?:numpy|np)\.load|(?:pandas|pd)\.read_pickle|eval|exec|compile|__import__|os\.(?:system|popen)|.*\.to_pickle)"
)
MODULES = {"pickle", "cPickle", "dill", "marshal", "joblib", "shelve", "cloudpickle"}


def sources() -> Iterator[tuple[str, str]]:
    """Every piece of Python of the package, the notebooks and the workflow."""
    for file in sorted((ROOT / "src" / "helpers").rglob("*.py")):
        yield paths.relative(file), file.read_text(encoding="utf-8")
    for file in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        yield paths.relative(file), "\n".join(code)
    snakefile = (ROOT / "workflow" / "Snakefile").read_text(encoding="utf-8")
    yield "workflow/Snakefile", snakefile.partition("\nrule ")[0].partition("\nwildcard_constraints")[0]


def unsafe(source: str) -> Iterator[str]:
    """Yield what of a source makes objects or runs programs from data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from (name for name in names if name.partition(".")[0] in MODULES)
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if CALLS.fullmatch(name):
                yield name
            for keyword in node.keywords:
                if keyword.arg == "shell" and ast.unparse(keyword.value) != "False":
                    yield f"{name}(shell=...)"
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    yield f"{name}(allow_pickle=...)"


def test_nothing_makes_objects_or_runs_programs_from_data() -> None:
    found = {(file, name) for file, source in sources() for name in unsafe(source)}
    assert found == set(ALLOWED)


# Markup in data


class Harm(HTMLParser):
    """Collect what a page would run of a hostile string."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the attributes of an element."""
        self._script = tag == "script"
        for name, value in attrs:
            if (name.startswith("on") and "alert" in str(value)) or str(value).startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value}>")
            if tag == "img" and name == "src" and value == "x":
                self.found.append("<img src=x>")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a script."""
        self._script = self._script and tag != "script"

    def handle_data(self, data: str) -> None:
        """Look at the words of a script."""
        if self._script and data.strip() == "alert(1)":
            self.found.append("<script>")


@one_book
def test_no_string_of_a_record_is_markup_on_any_page(book: Checkout) -> None:
    known = [file for file in pages(book) if "alert(1)" in file.read_text(encoding="utf-8")]
    assert len(known) >= 2  # the page of the run, and the list of runs or the audit
    for file in known:
        assert Harm(file.read_text(encoding="utf-8")).found == [], file.name
    (run,) = (html(book) / "runs" / "hostile").glob("*.html")
    text = run.read_text(encoding="utf-8")
    for given in ("&lt;script&gt;alert(1)", "&lt;img src=x onerror=alert(1)&gt;", "[x](javascript:alert(1))"):
        assert given in text, given
    assert "{include} /etc/passwd" in text
    assert "root:x:0" not in text, "the notebook's words were followed"


@pytest.mark.parametrize("field", ["run_id", "campaign", "machine"])
def test_a_name_cannot_hold_markup(field: str, tmp_path: Path) -> None:
    known = paths.MEASUREMENTS / "reference-cpu" / "news-linear-bow-31b092b2" / RECORD
    document = json.loads(known.read_text(encoding="utf-8"))
    for text in HOSTILE:
        document["run"][field] = text
        (tmp_path / RECORD).write_text(json.dumps(document), encoding="utf-8")
        with pytest.raises(Exception, match=field):
            read_record(tmp_path / RECORD)


LABELS = [*HOSTILE, "**bold** <b>"]
STAGE = """
from helpers.core import paths
from helpers.results.tables import load_tables
from helpers.book.run_pages.staging import stage_pages
paths.STAGING.mkdir(parents=True, exist_ok=True)
(paths.STAGING / "_toc.yml").write_bytes((paths.ROOT / "_toc.yml").read_bytes())
print(*stage_pages(load_tables(), paths.STAGING), sep="\\n")
"""


def test_texts_and_labels_of_a_dataset_are_never_markup(checkout: Checkout, tmp_path: Path) -> None:
    rows = [
        (f"{text} number {n} of {label}", label) for n in range(20) for label in LABELS for text in HOSTILE
    ]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "hostile.csv.gz", index=False)
    file = checkout.root / "data" / "study" / "datasets.yaml"
    catalogue = yaml.safe_load(file.read_text(encoding="utf-8"))
    catalogue["datasets"]["hostile"] = {
        "title": IMAGE,
        "task": SCRIPT,
        "language": "en",
        "licence": MARKDOWN,
        "labels": LABELS,
        "csv": {"file": "h.csv", "text_column": "t", "label_column": "l", "min_per_label": 1},
        "split": {"train": 80, "test": 80},
    }
    file.write_text(json.dumps(catalogue), encoding="utf-8")
    done = checkout.measure(**SETTINGS | {"dataset": "hostile", "data_dir": tmp_path})
    assert done.returncode == 0, done.stderr
    (record,) = checkout.records()
    assert set(pd.read_parquet(record.parent / "predictions.parquet")["label"]) == set(LABELS)
    for name in (RECORD, "notebook.ipynb"):
        assert "alert(1)" not in (record.parent / name).read_text(encoding="utf-8"), name
    for name in ("runs", "table_4_datasets", "figure_7_other_datasets"):
        done = checkout.helpers("analyse", name)
        assert done.returncode == 0, done.stderr
    done = _run(checkout, STAGE)
    assert "runs/local/" in done.stdout, done.stderr
    staged = list((checkout.root / "_build" / "staging").rglob("*.ipynb"))
    assert len(staged) > 3
    shown = ""
    for notebook in staged:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                parts = {
                    kind: "".join(text) for kind, text in output.get("data", {}).items() if "text" in kind
                }
                assert Harm(parts.get("text/html", "")).found == [], notebook.name
                assert "alert(1)" not in parts.get("text/markdown", ""), notebook.name
                shown += parts.get("text/html", "")
            if cell["cell_type"] == "markdown":
                assert "alert(1)" not in "".join(cell["source"]), notebook.name
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown  # its title stands somewhere, as text


def _run(checkout: Checkout, source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source],
        cwd=checkout.root,
        env=checkout.environment,
        check=True,
        capture_output=True,
        text=True,
    )


# Whose machine it was

SECRETS = {
    "USER": "zquser",
    "LOGNAME": "zquser",
    "HOSTNAME": "zqhost",
    "HF_TOKEN": "hf_zqtoken",
    "COMPANION_LLM_API_KEY": "sk-zqkey",
}


def test_nothing_that_a_run_writes_says_whose_machine_it_was(tmp_path: Path) -> None:
    """A run that succeeds and one that fails in mid-run, at home of somebody with a name, on a host with a name."""
    home = tmp_path / "zqhome"
    copy = make_checkout(home)
    environment = {**copy.environment, **SECRETS, "HOME": str(home)}
    named = ["unshare", "-ru", "sh", "-c", 'hostname zqhost && exec "$@"', "sh"]
    if subprocess.run([*named, "true"], check=False, capture_output=True).returncode != 0:
        named = []  # the host has the name that it has

    def measure(model: str) -> subprocess.CompletedProcess[str]:
        given = [f"-p{name}={value}" for name, value in (SETTINGS | {"model": model}).items()]
        return subprocess.run(
            [*named, sys.executable, "-m", "helpers", "measure", "traditional", *given],
            cwd=copy.root,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    done = measure("linear-tfidf")
    assert done.returncode == 0, done.stderr
    source = copy.root / "src" / "helpers" / "models" / "traditional.py"
    text = source.read_text(encoding="utf-8")
    assert text.count("\ndef train(") == 1
    broken = "\ndef train(*_):\n    import os\n    raise ValueError(os.path.abspath('x'))\n\n\ndef train_("
    source.write_text(text.replace("\ndef train(", broken), encoding="utf-8")
    done = measure("linear-bow")
    assert done.returncode == 2, done.stderr
    assert len(list(copy.root.glob("runs/local/*.failed.ipynb"))) == 1
    written = [copy.root / name for name in copy.written()]
    assert len(written) >= 5
    for file in written:
        assert told_in(file, [*SECRETS.values(), "zqhome", str(tmp_path)]) == [], file.name


def told_in(file: Path, more: list[str] | None = None) -> list[str]:
    """Return what a file tells of this machine and of who uses it."""
    content = file.read_bytes()
    unwanted = {str(ROOT), sys.prefix, sys.base_prefix + "/lib/python3", f"{Path.home()}/", *(more or [])}
    for name in (socket.gethostname(), getpass.getuser(), os.environ.get("HF_TOKEN", "")):
        if len(name) > 5 and name != "localhost":  # `root` is a word
            unwanted.add(name)
    return sorted(text for text in unwanted if text.encode() in content)


@one_book
def test_nothing_in_the_book_says_whose_machine_it_was(book: Checkout) -> None:
    files = [file for file in html(book).rglob("*") if file.is_file()]
    assert len(files) > 200
    for file in files:
        assert told_in(file, [str(book.root), str(book.root.parent)]) == [], file.relative_to(html(book))
