"""The catalogue: what is shipped is consistent, and any slip in a file is one line that helps."""

import shutil

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.core import paths
from helpers.core.errors import UserError, nearest
from helpers.core.validation import Strict, load_yaml, parse
from helpers.measure import parameters
from helpers.records.hardware import Hardware
from helpers.records.storage import GpuInfo
from helpers.results import published
from helpers.study.catalogue import (
    Campaign,
    Csv,
    DatasetEntry,
    EmbeddingCheckpoint,
    Hub,
    load_study,
    paper_models,
    study,
)

TRADITIONAL = {f"{c}-{f}" for c in ("linear", "xgboost") for f in ("bow", "tfidf", "embedding")}
REAL = {"fktg", "news", "yelp", "tomatoes", "emotion"}
INVENTED = {"fktg-sample", "tiny"}


@pytest.fixture
def folder(tmp_path):
    """A copy of data/study that a test may spoil."""
    return shutil.copytree(paths.STUDY, tmp_path / "study")


def one_line(error):
    line = str(error.value)
    assert len(line.splitlines()) == 1
    return line


def refusal(folder):
    with pytest.raises(UserError) as error:
        load_study(folder)
    return one_line(error)


def edit(file, *path, to=None, rename=None, remove=False):
    """Change one place of a YAML file: give it another value, another name, or take it away."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if rename is not None:
        parent[rename] = parent.pop(path[-1])
    elif remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = to
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")


# What is shipped


def test_the_shipped_catalogue_is_the_papers_and_what_stands_beside_it():
    catalogue = study()
    families = [catalogue.models[name].family for name in paper_models()]
    assert set(TRADITIONAL) < set(paper_models())
    assert (len(families), families.count("Traditional"), families.count("Deepseek")) == (17, 6, 4)
    assert set(catalogue.datasets) == REAL | INVENTED
    assert {name for name, item in catalogue.datasets.items() if item.synthetic} == INVENTED
    assert {name: item.gpus_per_node for name, item in catalogue.machines.items()} == {
        "capella": 4,
        "paula": 8,
        "clara": 4,
    }
    assert {"demo", "reference-cpu"} <= set(catalogue.campaigns)


def test_split_sizes_are_the_papers():
    sizes = {name: (item.split.train, item.split.test) for name, item in study().datasets.items()}
    del sizes["tiny"]
    assert sizes == {name: (189, 189) if "fktg" in name else (200, 200) for name in REAL | {"fktg-sample"}}


def test_the_sample_has_the_labels_and_the_language_of_the_data_set_it_stands_in_for():
    sample, fktg = study().datasets["fktg-sample"], study().datasets["fktg"]
    assert (sample.labels, sample.language, len(sample.labels)) == (fktg.labels, fktg.language, 14)


def test_the_published_tables_and_the_catalogue_name_the_same_things():
    seen = published.observations()
    assert set(seen["model"]) == set(paper_models())
    assert set(seen["dataset"]) == REAL
    assert set(seen["machine"]) == set(study().machines)


OF_SEVERAL_MACHINES = {"paper"}  # tests/study/test_paper_campaign.py
ON_ONE = {file.stem for file in paths.CAMPAIGNS.glob("*.yaml")} - OF_SEVERAL_MACHINES


@pytest.mark.parametrize("name", sorted(ON_ONE))
def test_every_shipped_campaign_can_be_planned(name, monkeypatch):
    machines = {run.parameters.machine for run in parameters.campaign_runs(name)} - {"auto"}
    if machines:  # planned on its own machine alone
        machine = study().machines[machines.pop()]
        gpu = GpuInfo(uuid="GPU-0", model=machine.gpu_model, memory_gb=machine.gpu_memory_gb)
        hardware = Hardware(machine.cpu, 64, machine.ram_gb, (gpu,) * machine.gpus_per_node, "580")
        monkeypatch.setattr(parameters, "detect", lambda: hardware)
    plans = parameters.campaign_plans(name)
    assert len({plan.run_id for plan in plans}) == len(plans) > 0
    assert {plan.parameters.campaign for plan in plans} == {study().campaigns[name].part_of or name}


def test_a_copy_of_the_catalogue_loads_the_same(folder):
    assert load_study(folder) == load_study()


# Slips in a file

SLIPS = {
    "unknown key at the top": (
        "models.yaml",
        lambda f: edit(f, "embeddings", rename="embedings"),
        ("embedings", "nearest: 'embeddings'"),
    ),
    "unknown key of a model": (
        "models.yaml",
        lambda f: edit(f, "traditional", "linear-bow", "features", rename="featurs"),
        ("traditional.linear-bow", "'featurs'", "nearest: 'features'"),
    ),
    "unknown key of a hub entry": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "news", "hub", "revision", rename="revison"),
        ("datasets.news.hub", "'revison'", "nearest: 'revision'"),
    ),
    "unknown key of a machine": (
        "machines.yaml",
        lambda f: edit(f, "machines", "paula", "gpu_modell", to="A30"),
        ("machines.paula", "'gpu_modell'", "nearest: 'gpu_model'"),
    ),
    "unknown key of a campaign": (
        "campaigns/demo.yaml",
        lambda f: edit(f, "grid", rename="gird"),
        ("'gird'", "nearest: 'grid'"),
    ),
    "unknown literal of a model": (
        "models.yaml",
        lambda f: edit(f, "traditional", "linear-bow", "classifier", to="logistic-regresion"),
        ("traditional.linear-bow.classifier", "'logistic-regresion'", "nearest: 'logistic-regression'"),
    ),
    "unknown family": (
        "models.yaml",
        lambda f: edit(f, "llm", "ds-qwen-14b", "family", to="DeepSeek"),
        ("llm.ds-qwen-14b.family", "'DeepSeek'", "nearest: 'Deepseek'"),
    ),
    "unknown language": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "news", "language", to="eng"),
        ("datasets.news.language", "'eng'", "nearest: 'en'"),
    ),
    "unknown notebook": (
        "campaigns/demo.yaml",
        lambda f: edit(f, "notebook", to="traditionel"),
        ("notebook", "'traditionel'", "nearest: 'traditional'"),
    ),
    "missing key of a model": (
        "models.yaml",
        lambda f: edit(f, "llm", "llama-3.1-8b", "checkpoint", remove=True),
        ("llm.llama-3.1-8b.checkpoint", "required"),
    ),
    "missing key of a split": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "yelp", "split", "test", remove=True),
        ("datasets.yelp.split.test", "required"),
    ),
    "missing key of a machine": (
        "machines.yaml",
        lambda f: edit(f, "machines", "clara", "nodes", remove=True),
        ("machines.clara.nodes", "required"),
    ),
    "missing section": ("models.yaml", lambda f: edit(f, "llm", remove=True), ("llm", "required")),
    "text for a number": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "fktg", "split", "train", to="189"),
        ("datasets.fktg.split.train", "integer", "'189'"),
    ),
    "number for a text": (
        "models.yaml",
        lambda f: edit(f, "traditional", "xgboost-bow", "title", to=7),
        ("traditional.xgboost-bow.title", "string", "7"),
    ),
    "text for a list": (
        "campaigns/demo.yaml",
        lambda f: edit(f, "grid", to="all"),
        ("grid", "list", "'all'"),
    ),
    "empty grid": ("campaigns/demo.yaml", lambda f: edit(f, "grid", to=[]), ("grid",)),
    "size of nothing": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "emotion", "split", "test", to=0),
        ("datasets.emotion.split.test", "greater than 0"),
    ),
    "number that is none": (
        "machines.yaml",
        lambda f: edit(f, "machines", "capella", "ram_gb", to=float("nan")),
        ("machines.capella.ram_gb", "finite"),
    ),
    "revision that is no commit": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "news", "hub", "revision", to="main"),
        ("datasets.news.hub.revision", "main"),
    ),
    "two places of a dataset": (
        "datasets.yaml",
        lambda f: edit(
            f, "datasets", "news", "csv", to={"file": "a", "text_column": "b", "label_column": "c"}
        ),
        ("datasets.news", "either 'hub' or 'csv'"),
    ),
    "no place of a dataset": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "fktg", "csv", remove=True),
        ("datasets.fktg", "either 'hub' or 'csv'"),
    ),
    "label twice": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "fktg", "labels", 0, to="Tongestein"),
        ("datasets.fktg", "'labels' has a name twice"),
    ),
    "label with a blank at its end": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "fktg", "labels", 0, to="praise "),
        ("datasets.fktg", "'labels' has 'praise '; expected names without blanks around them"),
    ),
    "label without a name": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "fktg", "labels", 0, to=""),
        ("datasets.fktg", "'labels' has ''"),
    ),
    "a label that YAML reads as a truth value": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "fktg", "labels", 0, to=True),
        ("datasets.fktg.labels.0", "found True; write it in quotes"),
    ),
    "labels of the hub differ": (
        "datasets.yaml",
        lambda f: edit(f, "datasets", "tomatoes", "hub", "labels", 0, to="negative"),
        ("datasets.tomatoes", "neg, negative"),
    ),
    "embedding without a place": (
        "models.yaml",
        lambda f: edit(f, "embeddings", "all-minilm-l6-v2", "package", remove=True),
        ("embeddings.all-minilm-l6-v2", "either 'repository'"),
    ),
    "embedding without a revision": (
        "models.yaml",
        lambda f: edit(f, "embeddings", "paraphrase-multilingual-mpnet-base-v2", "revision", remove=True),
        ("embeddings.paraphrase-multilingual-mpnet-base-v2", "'repository' needs 'revision'"),
    ),
    "embedding in packages without a hash of its weights": (
        "models.yaml",
        lambda f: edit(f, "embeddings", "all-mpnet-base-v2", "weights_sha256", remove=True),
        ("embeddings.all-mpnet-base-v2", "'package' and 'archive' need 'weights_sha256'"),
    ),
    "a packaged file of a name that is a path": (
        "models.yaml",
        lambda f: edit(f, "llm", "smollm2-135m", "gguf", "file", "name", to="../weights.gguf"),
        ("llm.smollm2-135m.gguf.file.name", "../weights.gguf"),
    ),
    "not a mapping": ("machines.yaml", lambda f: f.write_text("- capella\n"), ("document", "['capella']")),
    "empty file": ("machines.yaml", lambda f: f.write_text(""), ("document", "None")),
    "not YAML": ("datasets.yaml", lambda f: f.write_text("datasets: {news: [}\n"), ("not valid YAML",)),
    "tab as indent": ("datasets.yaml", lambda f: f.write_text("datasets:\n\tnews: 1\n"), ("not valid YAML",)),
    "code in YAML": (
        "datasets.yaml",
        lambda f: f.write_text("a: !!python/name:os.system\n"),
        ("not valid YAML",),
    ),
    "not UTF-8": ("datasets.yaml", lambda f: f.write_bytes(b"title: \xff\xfe\n"), ("cannot be read",)),
    "a date that is none": ("machines.yaml", lambda f: f.write_text("a: 2024-13-45\n"), ("not valid YAML",)),
    "a word that is called a date": (
        "machines.yaml",
        lambda f: f.write_text("a: !!timestamp x\n"),
        ("not valid YAML",),
    ),
    "a number that is none": ("machines.yaml", lambda f: f.write_text("a: !!int x\n"), ("not valid YAML",)),
    "no file": ("machines.yaml", lambda f: f.unlink(), ("cannot be read",)),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_with_file_and_place(folder, slip):
    name, spoil, expected = SLIPS[slip]
    spoil(folder / name)
    line = refusal(folder)
    assert line.startswith(f"{folder / name}: ")
    for part in expected:
        assert part in line


@pytest.mark.parametrize(
    ("name", "key"),
    [("models.yaml", "title"), ("datasets.yaml", "language"), ("machines.yaml", "nodes")],
)
def test_a_nested_key_given_twice_is_refused(folder, name, key):
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"    {key}:"))
    (folder / name).write_text("\n".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]), encoding="utf-8")
    line = refusal(folder)
    assert f"key {key!r} twice" in line
    assert line.startswith(f"{folder / name}: not valid YAML")
    assert f"line {at + 2}," in line


def test_a_top_level_key_given_twice_is_refused(folder):
    file = folder / "campaigns" / "demo.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "\ntitle: again\n", encoding="utf-8")
    assert "key 'title' twice" in refusal(folder)


@pytest.mark.parametrize("name", ["pau\nla", "Paula", "pau/la", "-paula", ""])
def test_a_name_that_cannot_be_one_of_a_folder_is_refused_in_one_line(folder, name):
    edit(folder / "machines.yaml", "machines", "paula", rename=name)
    assert "a name has small letters, digits, '-' and '.' only" in refusal(folder)


def test_a_file_inside_the_project_is_named_as_seen_from_its_root():
    with pytest.raises(UserError, match=r"^data/study/absent\.yaml: cannot be read"):
        load_yaml(paths.STUDY / "absent.yaml", paths.relative(paths.STUDY / "absent.yaml"))


def test_yaml_anchors_work(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x [1]\nb: *x\n", encoding="utf-8")
    assert load_yaml(tmp_path / "a.yaml", "a.yaml") == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (r'"\ud800"', "document"),
        (r'grid: [{model: tiny}, {data_dir: "/tmp/\ud800"}]', "grid.1.data_dir"),
        (r'grid: [{"\udfff": 1}]', "grid.0"),
        (r'a: &a [*a, {b: "\ud800"}]', "a.1.b"),
        ("? 0x" + "f" * 5000 + '\n: "\\ud800"', "<int that is too long to be written>"),
    ],
)
def test_a_text_that_cannot_be_written_again_is_refused_with_its_place(tmp_path, text, key):
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_yaml(tmp_path / "a.yaml", "a.yaml")
    line = str(error.value)
    assert line.startswith(f"a.yaml: {key}: found '")
    assert "half of a surrogate pair" in line
    line.encode()


KEYS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(key=KEYS.filter(lambda key: key not in Csv.model_fields), value=st.none() | st.integers() | st.text())
def test_any_unknown_key_is_refused_by_its_name(key, value):
    with pytest.raises(UserError) as error:
        parse(Csv, {"file": "a", "text_column": "b", "label_column": "c", key: value}, "some.yaml")
    assert f"some.yaml: document: unknown key {key!r} (" in one_line(error)


@settings(max_examples=50, deadline=None)
@given(value=st.none() | st.integers() | st.floats() | st.lists(st.integers()) | st.booleans())
def test_any_value_that_is_no_text_is_refused_where_a_text_belongs(value):
    with pytest.raises(UserError) as error:
        parse(Csv, {"file": value, "text_column": "b", "label_column": "c"}, "some.yaml")
    assert one_line(error).startswith("some.yaml: file: ")


@pytest.mark.parametrize("kind", [Hub, Csv, DatasetEntry, EmbeddingCheckpoint, Campaign])
def test_what_was_validated_cannot_be_changed(kind):
    assert issubclass(kind, Strict)
    entry = next(
        item
        for item in (
            *study().campaigns.values(),
            *study().embeddings.values(),
            *study().datasets.values(),
            *(entry.hub for entry in study().datasets.values()),
            *(entry.csv for entry in study().datasets.values()),
        )
        if isinstance(item, kind)
    )
    with pytest.raises(ValueError, match="frozen"):
        setattr(entry, next(iter(kind.model_fields)), "other")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("linear-tfdif", "nearest: 'linear-tfidf'; known: linear-bow, linear-tfidf"),
        ("zzz", "known: linear-bow, linear-tfidf"),
        (7, "known: linear-bow, linear-tfidf"),
    ],
)
def test_nearest_names_what_was_meant_and_what_there_is(word, expected):
    assert nearest(word, ["linear-tfidf", "linear-bow"]) == expected


# Campaigns


@pytest.fixture
def plans_of(monkeypatch):
    """Plan a campaign with the given grid; the rest of the catalogue is the shipped one."""

    def make(*grid):
        campaign = Campaign(title="t", description="d", notebook="traditional", grid=list(grid))
        catalogue = study().model_copy(update={"campaigns": {"trial": campaign}})
        monkeypatch.setattr(parameters, "study", lambda: catalogue)
        return parameters.campaign_plans("trial")

    return make


def test_every_block_of_a_grid_is_multiplied_out(plans_of):
    plans = plans_of(
        {"model": ["linear-bow", "xgboost-bow"], "dataset": ["news", "yelp"], "splits": 2},
        {"model": "linear-tfidf"},
    )
    chosen = [(plan.parameters.model, plan.parameters.dataset, plan.parameters.splits) for plan in plans]
    assert chosen == [
        ("linear-bow", "news", 2),
        ("linear-bow", "yelp", 2),
        ("xgboost-bow", "news", 2),
        ("xgboost-bow", "yelp", 2),
        ("linear-tfidf", "fktg-sample", 10),
    ]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"model": "linear-tfdif"}, "unknown traditional model 'linear-tfdif' (nearest: 'linear-tfidf'"),
        ({"model": "llama-3.1-8b"}, "llama-3.1-8b is a language model: it is measured by the notebook llm"),
        ({"dataset": "tomatos"}, "unknown dataset 'tomatos' (nearest: 'tomatoes'"),
        ({"machine": "capela"}, "unknown machine 'capela' (nearest: 'capella'"),
        ({"modle": "linear-bow"}, "unknown key 'modle' (nearest: 'model'"),
        ({"splits": "2"}, "splits: Input should be a valid integer, found '2'"),
        ({"splits": 11}, "splits: Input should be less than or equal to 10, found 11"),
        ({"window_s": 0}, "window_s: Input should be greater than 0, found 0"),
        ({"device": "gpu"}, "device: unknown value 'gpu'"),
        ({"campaign": "other"}, "'campaign' and 'output' are set by the campaign itself"),
        ({"output": "there"}, "'campaign' and 'output' are set by the campaign itself"),
        ({"model": ["linear-bow", "linear-bow"]}, "model: 'linear-bow' is in the list twice; remove one"),
        ({"model": "xgboost-bow", "cool_down_s": 3.0}, "is in the grid twice; remove it here or there"),
        ({"data_dir": "x/" * 2500}, "data_dir: 'x/x/"),
        ({"data_dir": "x/" * 2500}, "is no folder: a path of 5000 characters is too long; correct it"),
        (
            {"model": "linear-embedding", "checkpoint": "./" + "x" * 300},
            "is no folder: a path of 302 characters is too long; correct it",
        ),
    ],
)
def test_a_slip_in_a_grid_is_one_line_with_its_file_and_block(plans_of, block, expected):
    with pytest.raises(UserError) as error:
        plans_of({"model": "xgboost-bow"}, block)
    line = one_line(error)
    assert line.startswith("data/study/campaigns/trial.yaml: grid.1: ")
    assert expected in line


def test_a_part_takes_one_value_of_a_parameter():
    given = {"title": "t", "description": "d", "part_of": "paper", "where": {"gpus": [1, 2]}}
    with pytest.raises(UserError) as error:
        parse(Campaign, given, "part.yaml")
    assert one_line(error).startswith(
        "part.yaml: where: 'gpus' is [1, 2]; expected one value of it: a text, a number"
    )


def test_the_same_run_in_two_blocks_is_refused(plans_of):
    with pytest.raises(
        UserError, match=r"grid\.1: the run fktg-sample-linear-tfidf-\w+ is in the grid twice"
    ):
        plans_of({"model": "linear-tfidf"}, {"splits": 10})


def test_a_grid_without_runs_is_refused(plans_of):
    with pytest.raises(UserError, match=r"data/study/campaigns/trial\.yaml: grid\.0"):
        plans_of({"model": []})


def test_an_unknown_campaign_is_refused_with_the_nearest(plans_of):
    with pytest.raises(UserError) as error:
        parameters.campaign_plans("reference-cpus")
    assert "unknown campaign 'reference-cpus' (nearest: 'reference-cpu'" in one_line(error)
