"""A dataset is an entry and a CSV, a language model is an entry, a machine is an entry: as a new user adds them."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from helpers.campaigns.plan import target
from helpers.campaigns.plan.target import Target
from helpers.core import paths
from helpers.models.llm import prompts
from helpers.models.llm.engine_checks import GPU_WORK_GIB
from helpers.records import hardware as machines
from helpers.records.hardware import GIB, Hardware, detect, resolve
from helpers.records.storage import GpuInfo, read_record
from helpers.study import datasets
from helpers.study.catalogue import LanguageModel, Study, load_study
from helpers.study.datasets import load_dataset, splits
from tests.conftest import Checkout, make_checkout, refusal

DATASET = """
  mine:
    title: support tickets
    task: topic of a support ticket
    language: en
    licence: CC0-1.0
    labels: [billing, delivery, praise]
    csv: {file: mine.csv, text_column: message, label_column: topic}
    split: {train: 40, test: 40}
"""
MODEL = """
  my-model-30b:
    title: My Model 30B
    family: Other LLM
    checkpoint: owner/my-model-30b
    revision: 0123456789abcdef0123456789abcdef01234567
    parameters_b: 30.5
    layers: 48
    hidden_size: 2048
    heads: 32
    kv_heads: 4
    head_size: 128
    context_length: 32768
    dtype: bfloat16
    licence: Apache 2.0
    gated: false

  my-folder:
    title: My model in a folder
    family: Other LLM
    checkpoint: ./checkpoints/mine
    parameters_b: 0.00016
    layers: 2
    hidden_size: 64
    heads: 2
    kv_heads: 2
    context_length: 4096
    dtype: bfloat16
    licence: mine
    gated: false
"""
MACHINE = """
  lab:
    title: Lab
    center: our cellar
    nodes: 2
    cpu: {cpu}
    cpu_model: {cpu}
    ram_gb: 64
    gpus_per_node: 0
"""
GPU_MACHINE = """
  box:
    title: Box
    center: our cellar
    nodes: 1
    cpu: 1 x AMD
    ram_gb: 512
    gpus_per_node: 2
    gpu_model: H100
    gpu_memory_gb: 80
    gpu_max_power_w: 700
    gpu_compute_capability: 9.0
"""
WORDS = {
    "billing": ("invoice", "payment", "refund"),
    "delivery": ("parcel", "courier", "delay"),
    "praise": ("lovely", "thanks", "splendid"),
}


def append(folder: Path, file: str, entry: str, before: str = "") -> None:
    """Write an entry at the end of a file of the catalogue, or above a key of its first level."""
    path = folder / file
    head, mark, tail = path.read_text(encoding="utf-8").partition(before) if before else ("", "", "")
    text = (
        head + entry.lstrip("\n") + "\n" + mark + tail if mark else path.read_text(encoding="utf-8") + entry
    )
    path.write_text(text, encoding="utf-8")


def write_texts(
    file: Path, texts: int = 120, columns: tuple[str, str] = ("message", "topic"), **words: Any
) -> Path:
    """Write a CSV of tickets, as many of each topic."""
    topics = words or WORDS
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(columns)
        for number in range(texts):
            topic = list(topics)[number % len(topics)]
            word = topics[topic][number // len(topics) % len(topics[topic])]
            rows.writerow((f"Ticket {number}: a word on the {word}, please", topic))
    return file


@dataclass(frozen=True)
class Extended:
    """A checkout with an entry of each kind, and where its texts lie."""

    checkout: Checkout
    texts: Path

    def helpers(self, *arguments: str, **environment: str) -> Any:
        """Run a verb in the checkout."""
        given = {datasets.FOLDER_VARIABLE: str(self.texts), **environment}
        return self.checkout.helpers(*arguments, env=given)

    def printed(self, *arguments: str) -> str:
        """Run a verb that succeeds; returns what it prints."""
        done = self.helpers(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, **environment: str) -> str:
        """Run a verb that is refused; returns the one line that says why."""
        done = self.helpers(*arguments, **environment)
        assert done.returncode == 2, done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in done.stderr
        return line

    def plan(self, name: str, block: dict[str, Any], *arguments: str) -> dict[str, Any]:
        """Write a campaign and plan it."""
        self.checkout.campaign(name, block)
        return json.loads(self.printed("plan", name, "--json", *arguments))


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Extended:
    checkout = make_checkout(tmp_path_factory.mktemp("extended"))
    study = checkout.root / "data" / "study"
    append(study, "datasets.yaml", DATASET)
    append(study, "models.yaml", MODEL, before="embeddings:\n")
    append(study, "machines.yaml", MACHINE.format(cpu=json.dumps(detect().cpu_model)))
    append(study, "machines.yaml", GPU_MACHINE)
    return Extended(checkout, write_texts(checkout.root.parent / "texts" / "mine.csv").parent)


MEASURE = ("measure", "traditional", "-p", "model=linear-tfidf", "-p", "splits=1", "-p", "window_s=0.05")


@pytest.fixture(scope="module")
def measured(extended: Extended) -> Extended:
    """The same, with a run on the dataset."""
    extended.printed(*MEASURE, "-p", "dataset=mine")
    return extended


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of data/study to append to."""
    return shutil.copytree(paths.STUDY, tmp_path / "study")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Study]:
    """Let this process read another folder's catalogue."""

    def take(folder: Path) -> Study:
        catalogue = load_study(folder)
        for module in (datasets, machines, target):
            monkeypatch.setattr(module, "study", lambda: catalogue)
        return catalogue

    return take


def changed(entry: str, key: str, to: str | None) -> str:
    """Give a key of an entry another value; None takes its line away."""
    kept = [f"    {key}: {to}"] if to is not None else []
    lines = [kept if re.match(rf"    {key}:", line) else [line] for line in entry.splitlines()]
    assert sum(len(replaced) != 1 or replaced == kept for replaced in lines) == 1
    return "\n".join(line for replaced in lines for line in replaced) + "\n"


# A dataset


def test_what_was_added_is_listed(extended: Extended):
    listed = extended.printed("study")
    assert re.search(r"^  mine +topic of a support ticket$", listed, re.MULTILINE)
    assert re.search(r"^  my-model-30b +My Model 30B \(Other LLM\)$", listed, re.MULTILINE)
    assert re.search(r"^  lab +no GPU$", listed, re.MULTILINE)
    assert re.search(r"^  box +2 x H100 a node$", listed, re.MULTILINE)


def test_a_dataset_is_measured_and_stands_in_the_results(measured: Extended):
    (file,) = measured.checkout.records()
    record = read_record(file)
    assert (record.run.dataset, record.run.synthetic, record.splits[0].texts) == ("mine", False, 40)
    assert record.splits[0].correct is not None
    assert record.splits[0].correct > 20  # of 40; a guess gets 13
    rows = json.loads(measured.printed("results", "--json", "--source", "local"))
    assert [(row["dataset"], row["model"], row["texts"]) for row in rows] == [("mine", "linear-tfidf", 40)]


def test_a_campaign_on_a_dataset_is_planned_with_and_without_its_texts(extended: Extended):
    block = {"dataset": "mine", "model": ["linear-bow", "xgboost-tfidf"], "splits": 2}
    planned = extended.plan("on-mine", block)
    assert [(run["dataset"], run["state"]) for run in planned["runs"]] == 2 * [("mine", "to do")]
    (extended.texts / "mine.csv").rename(extended.texts / "other.csv")
    try:
        runs = extended.plan("on-mine", block)["runs"]
    finally:
        (extended.texts / "other.csv").rename(extended.texts / "mine.csv")
    assert all("put mine.csv into a folder" in " ".join(run["reasons"]) for run in runs)


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "Classify the text as one of"), ("de", "Ordne den Text einer der")]
)
def test_a_language_model_is_reported_the_categories_of_a_dataset_in_its_language(
    folder, use, language, sentence
):
    append(folder, "datasets.yaml", changed(DATASET, "language", language))
    instruction = prompts.instruction(use(folder).datasets["mine"])
    assert instruction.startswith(sentence)
    assert instruction.endswith("\n- billing\n- delivery\n- praise")
    assert "Where is my parcel?" in prompts.messages(instruction, "Where is my parcel?")[-1]["content"]


def test_every_analysis_stands_and_the_paper_keeps_its_own(measured: Extended):
    assert len(measured.printed("analyse", "--all").splitlines()) == len(
        list((paths.NOTEBOOKS / "analysis").glob("*.ipynb"))
    )
    shown = {
        file.stem: "".join(
            "".join(output.get("data", {}).get("text/html", ""))
            for cell in nbformat.read(file, as_version=4).cells
            for output in cell.get("outputs", [])
        )
        for file in (measured.checkout.root / "_build/staging/notebooks/analysis").glob("*.ipynb")
    }
    assert "mine" in shown["figure_1_accuracy_energy"]
    assert "support tickets" in shown["energy_per_correct"]
    assert "The paper's 5 datasets" in shown["table_4_datasets"].replace("&#x27;", "'")
    assert "support tickets" in shown["table_4_datasets"]
    assert "support tickets" not in shown["claims"]  # they are about the paper's datasets
    for name in ("table_1_models", "table_2_machines", "power_decomposition"):
        assert "Capella" in shown[name]
        assert not re.search(r"\b(Lab|Box|lab|box)\b", re.sub(r"<[^>]*>", " ", shown[name]))


REFUSED = {
    "too few texts": (
        lambda file: write_texts(file, texts=79),
        "mine: 79 texts found, a split needs 80; provide the whole dataset, or make 'split' in "
        "data/study/datasets.yaml smaller where it is yours",
    ),
    "another column": (
        lambda file: write_texts(file, columns=("text", "topic")),
        "column 'message' not found; expected 'message', 'topic', found 'text', 'topic'",
    ),
    "a label that is not in the list": (
        lambda file: write_texts(file, **WORDS, spam=("watches",)),
        "mine: label 'spam' is not one of its 3 labels (billing, delivery, praise); correct the file, or data/study",
    ),
    "no file": (
        lambda file: file.parent.mkdir(),
        "put mine.csv (columns message, topic) in a folder and set",
    ),
}


@pytest.mark.parametrize("slip", REFUSED)
def test_texts_that_are_not_what_the_entry_says_are_refused_in_one_line(folder, use, tmp_path, slip):
    write, expected = REFUSED[slip]
    append(folder, "datasets.yaml", DATASET)
    use(folder)
    write(tmp_path / "texts" / "mine.csv")
    line = refusal(lambda: splits(load_dataset("mine", tmp_path / "texts")))
    assert expected in line
    assert "get_the_data" not in line  # that page is about the paper's datasets


@pytest.mark.parametrize("language", ["en", "de"])
def test_as_many_texts_as_a_split_needs_are_enough(folder, use, tmp_path, language):
    append(folder, "datasets.yaml", changed(DATASET, "language", language))
    use(folder)
    write_texts(tmp_path / "texts" / "mine.csv", texts=80)
    dataset = load_dataset("mine", tmp_path / "texts")
    assert dataset.warnings == ()
    assert all(sorted(split.train + split.test) == list(range(80)) for split in splits(dataset))


def test_a_run_on_too_few_texts_ends_with_that_line(extended: Extended, tmp_path: Path):
    few = write_texts(tmp_path / "few" / "mine.csv", texts=30).parent
    line = extended.refused(*MEASURE, "-p", "dataset=mine", "-p", f"data_dir={few}", "-p", "campaign=few")
    assert "mine: 30 texts found, a split needs 80" in line


@pytest.mark.parametrize("key", ["title", "task", "language", "licence", "labels", "split"])
def test_every_missing_key_of_a_dataset_is_named_with_what_it_means(folder, key):
    append(folder, "datasets.yaml", changed(DATASET, key, None))
    line = refusal(load_study, folder)
    assert re.search(rf"datasets\.yaml: datasets\.mine\.{key}: Field required \(.{{10,}}\)$", line)


# A language model


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("layers", "`num_hidden_layers` in the checkpoint's `config.json`"),
        ("hidden_size", "`hidden_size` in the checkpoint's `config.json`"),
        ("heads", "`num_attention_heads` in the checkpoint's `config.json`"),
        ("kv_heads", "`num_key_value_heads` in the checkpoint's `config.json`"),
        ("context_length", "`max_position_embeddings` in the checkpoint's `config.json`"),
        ("dtype", "`torch_dtype` or `dtype` in the checkpoint's `config.json`"),
        ("parameters_b", "as its page on the hub states"),
        ("licence", "As its page on the hub names it"),
        ("gated", "null: not known"),
        ("checkpoint", "Repository on the Hugging Face hub"),
        ("family", "Deepseek"),
        ("title", "tables"),
    ],
)
def test_every_missing_key_of_a_language_model_is_named_with_where_to_look_it_up(folder, key, hint):
    entry = changed(MODEL.partition("\n\n")[0], key, None)
    append(folder, "models.yaml", entry, before="embeddings:\n")
    line = refusal(load_study, folder)
    assert f"models.yaml: llm.my-model-30b.{key}: Field required (" in line
    assert hint in line


def test_a_revision_is_asked_for_where_the_checkpoint_is_on_the_hub(folder):
    append(folder, "models.yaml", changed(MODEL, "revision", None), before="embeddings:\n")
    assert "llm.my-model-30b: a checkpoint on the hub needs 'revision'" in refusal(load_study, folder)


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("revision", "main", "Commit on the hub, 40 hex digits"),
        (
            "checkpoint",
            "https://huggingface.co/owner/my-model-30b",
            "Repository on the Hugging Face hub, OWNER/NAME",
        ),
        ("checkpoint", "my-model-30b", "Repository on the Hugging Face hub, OWNER/NAME"),
    ],
)
def test_a_value_of_another_form_is_refused_with_what_is_meant(folder, key, value, meant):
    entry = MODEL.partition("\n  my-folder:")[0]
    append(folder, "models.yaml", changed(entry, key, value), before="embeddings:\n")
    line = refusal(load_study, folder)
    assert f"models.yaml: llm.my-model-30b.{key}: String should match pattern" in line
    assert f"found {value!r} ({meant}" in line


def test_gpu_memory_in_mib_is_refused(folder):
    append(folder, "machines.yaml", changed(GPU_MACHINE, "gpu_memory_gb", "81559"))
    assert "machines.box.gpu_memory_gb: Input should be less than or equal to 2000" in refusal(
        load_study, folder
    )


@pytest.mark.parametrize(("head_size", "of_a_head"), [("128", 128), (None, 64)])
def test_a_head_is_as_large_as_the_configuration_says(folder, head_size, of_a_head):
    append(folder, "models.yaml", changed(MODEL, "head_size", head_size), before="embeddings:\n")
    model = load_study(folder).models["my-model-30b"]
    assert isinstance(model, LanguageModel)
    assert model.kv_bytes_per_token == 2 * 2 * 48 * 4 * of_a_head


def test_a_plan_tells_what_memory_a_language_model_needs(extended: Extended):
    block = {"notebook": "llm", "model": "my-model-30b", "dataset": "mine", "gpus": 1, "machine": "paula"}
    (run,) = extended.plan("large", block, "--machine", "paula")["runs"]
    need_gib = (30.5e9 * 2 + 32768 * 2 * 2 * 48 * 4 * 128) / GIB + GPU_WORK_GIB
    assert f"needs {need_gib:.1f} GiB on its GPU, paula has 24.0" in " ".join(run["reasons"])
    assert run["state"] == "cannot run"
    (fitting,) = extended.plan("large", block | {"gpus": 4}, "--machine", "paula")["runs"]
    assert (fitting["state"], fitting["reasons"]) == ("to do", [])
    assert "the paper has no run of my-model-30b" in json.dumps(fitting)


def test_a_language_model_in_a_folder_is_taken_from_there_up_to_the_engine(
    extended: Extended, tiny_checkpoint: Path
):
    block = {"notebook": "llm", "model": "my-folder", "dataset": "mine", "gpus": 0}
    (run,) = extended.plan("folder", block)["runs"]
    assert "checkpoints/mine" in " ".join(run["reasons"])
    checkpoint_dir = extended.checkout.root / "checkpoints" / "mine"
    shutil.copytree(tiny_checkpoint, checkpoint_dir)
    try:
        (run,) = extended.plan("folder", block)["runs"]
        line = extended.refused(
            *("measure", "llm", "-p", "model=my-folder", "-p", "dataset=mine", "-p", "splits=1"),
            COMPANION_LLM_PYTHON="/nowhere/python",
        )
    finally:
        shutil.rmtree(checkpoint_dir)
    assert "checkpoints/mine" not in " ".join(run["reasons"])
    assert "no engine found at /nowhere/python; install one: make llm" in line


# A machine


def of_gpus(*cards: str, cpu: str = "AMD EPYC 7402") -> Hardware:
    gpus = tuple(GpuInfo(uuid=f"GPU-{i}", model=card, memory_gb=80) for i, card in enumerate(cards))
    return Hardware(cpu, 8, 64.0, gpus, None)


@pytest.fixture
def lab(folder: Path, use: Callable[[Path], Study]) -> Study:
    """A machine without GPUs, known by its CPU, and one whose GPUs and CPU are known."""
    append(folder, "machines.yaml", MACHINE.format(cpu="EPYC 7402"))
    append(folder, "machines.yaml", GPU_MACHINE + "    cpu_model: EPYC 9\n")
    return use(folder)


def test_a_machine_without_gpus_is_known_by_its_cpu(lab: Study):
    assert resolve("lab", of_gpus()) == "lab"
    assert resolve("box", of_gpus("NVIDIA H100 80GB HBM3", cpu="AMD EPYC 9334")) == "box"


@pytest.mark.parametrize(
    ("name", "hardware", "difference"),
    [
        ("lab", of_gpus(cpu="Intel Xeon"), "it has a CPU of the model EPYC 7402, found Intel Xeon"),
        ("lab", of_gpus("NVIDIA A30"), "it has no GPU, found NVIDIA A30"),
        ("box", of_gpus("NVIDIA H100"), "it has a CPU of the model EPYC 9, found AMD EPYC 7402"),
        ("box", of_gpus(cpu="AMD EPYC 9334"), "it has GPUs of the model H100, found no GPU"),
    ],
)
def test_another_machine_is_not_measured_under_its_name(lab, name, hardware, difference):
    line = refusal(resolve, name, hardware, "parameters: ")
    assert line == (f"parameters: machine={name}: {difference}; use machine=auto to measure this machine")


def test_a_machine_of_yours_is_like_the_papers_with_the_same_card_and_never_the_papers_itself(lab: Study):
    assert target.catalogue_target("box").like == "capella"
    assert target.catalogue_target("lab").like is None
    assert target.catalogue_target("paula").like == "paula"
    here = Target("here", True, of_gpus(cpu="AMD EPYC 7402"), None, None)
    found = target.target_for("lab", here, "somewhere")
    assert (found.name, found.here, found.hardware.gpus, found.nodes) == ("lab", True, (), 2)


def test_a_campaign_is_planned_for_a_machine_without_gpus(extended: Extended):
    blocks = [
        {"notebook": "llm", "model": "my-model-30b", "dataset": "mine", "gpus": gpus, "machine": "lab"}
        for gpus in (0, 1)
    ]
    extended.checkout.campaign(
        "on-lab", *blocks, {"model": "linear-bow", "dataset": "mine", "machine": "lab"}
    )
    runs = json.loads(extended.printed("plan", "on-lab", "--json", "--machine", "lab"))["runs"]
    reasons = [" ".join(run["reasons"]) for run in runs]
    assert "needs 1 GPU on a node, lab has 0" in reasons[1]
    assert {run["machine"] for run in runs} == {"lab"}


def test_runs_on_a_machine_of_yours_bear_its_name(extended: Extended, tmp_path: Path):
    if detect().gpus:
        pytest.skip("this machine has GPUs; the entry is for one that has none")
    output = tmp_path / "out"
    extended.printed(*MEASURE, "-p", "dataset=mine", "-p", "machine=lab", "-p", f"output={output}")
    (file,) = output.glob("local/*/record.json")
    assert read_record(file).run.machine == "lab"
    line = extended.refused(*MEASURE, "-p", "dataset=mine", "-p", "machine=box")
    assert "machine=box: it has GPUs of the model H100, found no GPU" in line


SLIPS = {
    "a key of its GPUs is missing": (
        changed(GPU_MACHINE, "gpu_memory_gb", None),
        "machines.box: 'gpu_memory_gb' is needed where 'gpus_per_node' is above 0 (nvidia-smi",
    ),
    "GPUs of none": (
        changed(GPU_MACHINE, "gpus_per_node", "0"),
        "machines.box: 'gpu_model' is given, but 'gpus_per_node' is 0",
    ),
    "neither GPUs nor a CPU": (
        changed(MACHINE.format(cpu="EPYC"), "cpu_model", None),
        "machines.lab: 'cpu_model' is needed where 'gpus_per_node' is 0 (grep 'model name' /proc/cpuinfo)",
    ),
    "an empty CPU": (changed(MACHINE, "cpu_model", "''").format(cpu="EPYC"), "machines.lab.cpu_model: "),
    "a typing error": (
        GPU_MACHINE + "    cpu_modell: EPYC\n",
        "unknown key 'cpu_modell' (nearest: 'cpu_model'",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_a_machine_is_one_line_that_says_what_to_do(folder, slip):
    entry, expected = SLIPS[slip]
    append(folder, "machines.yaml", entry)
    assert expected in refusal(load_study, folder)
