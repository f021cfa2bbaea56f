"""The synthetic corpus: reproducible, complete, and neither trivial nor hopeless."""

import csv
import dataclasses
import io
from collections import Counter

import pytest

from helpers.core import paths
from helpers.study import sample

PHRASES = paths.SAMPLE.with_name("phrases.yaml")


@pytest.fixture(scope="module")
def rows():
    committed = list(csv.reader(io.StringIO(paths.SAMPLE.read_text(encoding="utf-8"))))
    assert committed[0] == ["Beitrag", "Themenkomplex"]
    return committed[1:]


def test_committed_file_is_a_fresh_generation(tmp_path):
    (tmp_path / PHRASES.name).write_bytes(PHRASES.read_bytes())
    sample.write(tmp_path / paths.SAMPLE.name)
    assert (tmp_path / paths.SAMPLE.name).read_bytes() == paths.SAMPLE.read_bytes()


def test_shape(rows):
    sizes = Counter(label for _, label in rows)
    assert len(rows) == 378
    assert set(sizes) == set(sample.TOPICS)
    assert len(sizes) == 14
    assert min(sizes.values()) >= 10
    assert len({text for text, _ in rows}) == 378


def test_no_notation_is_left_in_a_text(rows):
    for text, _ in rows:
        assert not set("[]{}|") & set(text), text
        assert "  " not in text
        assert text[-1] in ".?!"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda topics: topics.pop("geoWK"), "word bank: missing topics: geoWK"),
        (lambda topics: topics.update(Wetter=topics["geoWK"]), "word bank: unknown topics: Wetter"),
        (
            lambda topics: topics.update(geoWK=sample.Topic(size=1, direct=[], indirect=[])),
            "word bank: topics without sentences: geoWK",
        ),
    ],
)
def test_faulty_word_bank_is_refused(change, message):
    phrases = sample.load(PHRASES)
    topics = dict(phrases.topics)
    change(topics)
    with pytest.raises(ValueError, match=f"^{message}$"):
        sample.check(dataclasses.replace(phrases, topics=topics))


@pytest.mark.parametrize("features", ["words", "characters"])
def test_difficulty(rows, features):
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    texts, labels = zip(*rows, strict=True)
    for seed in range(3):
        vectorizer = (
            CountVectorizer() if features == "words" else TfidfVectorizer(analyzer="char", ngram_range=(2, 3))
        )
        train, test, train_labels, test_labels = train_test_split(
            texts, labels, test_size=0.5, random_state=seed
        )
        model = make_pipeline(vectorizer, LogisticRegression()).fit(train, train_labels)
        assert 0.3 < model.score(test, test_labels) < 0.95
