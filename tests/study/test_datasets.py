"""Datasets: where they come from, what is refused, and splits that never change."""

import csv
import gzip
import hashlib
import io
import json
import time

import huggingface_hub
import pandas as pd
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.study import datasets
from helpers.study.catalogue import study
from helpers.study.csv_texts import read_texts
from helpers.study.datasets import FOLDER_VARIABLE, SPLITS, Dataset, load_dataset, splits

NEWS = ["World", "Sports", "Business", "Sci/Tech"]


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    """A folder of the developer's must not decide a test."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no network in tests")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)


def as_csv(rows, header=("text", "label")):
    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, *rows])
    return out.getvalue().encode("utf-8")


def news_rows(n=400, word="text"):
    return [(f"{word} {i}", NEWS[i % 4]) for i in range(n)]


def write_gz(folder, name, rows, header=("text", "label")):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.csv.gz").write_bytes(gzip.compress(as_csv(rows, header)))
    return folder


def sample_rows():
    return list(csv.reader(io.StringIO(paths.SAMPLE.read_text(encoding="utf-8"))))[1:]


def write_fktg(folder, rows, header=("Beitrag", "Themenkomplex")):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fktg.csv").write_bytes(as_csv(rows, header))
    return folder


def refusal(name, folder=None):
    with pytest.raises(UserError) as error:
        load_dataset(name, folder)
    line = str(error.value)
    assert len(line.splitlines()) == 1
    return line


def dataset_of(name, n):
    return Dataset(name, ("a text",) * n, ("a label",) * n, "folder", False, "0" * 64, ())


# The shipped sample


def test_the_sample_loads_whole_and_without_a_warning():
    sample = load_dataset("fktg-sample")
    assert len(sample) == len(sample.texts) == len(sample.labels) == 378
    assert set(sample.labels) == set(study().datasets["fktg-sample"].labels)
    assert len(set(sample.labels)) == 14
    assert (sample.synthetic, sample.origin, sample.warnings) == (True, "sample", ())
    assert list(zip(sample.texts, sample.labels, strict=True)) == [tuple(row) for row in sample_rows()]


def test_the_sha256_of_a_dataset_is_that_of_its_texts_and_labels_in_order(tmp_path):
    sample = load_dataset("fktg-sample")
    lines = (json.dumps(row, ensure_ascii=False) for row in sample_rows())
    assert sample.sha256 == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    turned = load_dataset("news", write_gz(tmp_path / "a", "news", news_rows()[::-1]))
    assert turned.sha256 != load_dataset("news", write_gz(tmp_path / "b", "news", news_rows())).sha256


# Splits


@pytest.mark.parametrize("name", sorted(study().datasets))
def test_ten_splits_of_the_catalogues_size_without_a_common_text(name):
    size, dataset = study().datasets[name].split, dataset_of(name, 378 if "fktg" in name else 500)
    drawn = splits(dataset)
    assert [split.number for split in drawn] == list(range(SPLITS)) == list(range(10))
    for split in drawn:
        assert (len(split.train), len(split.test)) == (size.train, size.test)
        assert not set(split.train) & set(split.test)
    assert splits(dataset) == drawn
    assert len({split.test for split in drawn}) == len({split.train for split in drawn}) == 10


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(sorted(study().datasets)), extra=st.integers(0, 1500))
def test_ids_of_a_split_are_distinct_and_within_range_for_any_size(name, extra):
    size = study().datasets[name].split
    n = size.train + size.test + extra
    for split in splits(dataset_of(name, n)):
        ids = [*split.train, *split.test]
        assert len(set(ids)) == len(ids) == (n if size.halves else size.train + size.test)
        assert 0 <= min(ids) <= max(ids) < n


def test_splits_depend_on_the_name_and_not_on_the_texts():
    other = Dataset("news", ("b",) * 500, ("World",) * 500, "hub:x@y", False, "1" * 64, ())
    assert splits(dataset_of("news", 500)) == splits(other)
    assert splits(dataset_of("news", 500)) != splits(dataset_of("yelp", 500))


def test_every_text_is_used_by_a_split_of_the_sample():
    used = {i for split in splits(load_dataset("fktg-sample")) for i in (*split.train, *split.test)}
    assert used == set(range(378))


GOLDEN = {
    ("fktg-sample", 378, 0): "ae0bbab59dd7be22fd4e53a2f4dbb06138d2d86b1b71edda480d66dfb7e46eae",
    ("fktg-sample", 378, 9): "758921322179c83405e739e51b84aa2d9ac77b5b9cf2d8c21ace6155f5543f88",
    ("news", 7600, 0): "0cdd24997e8e10d10df14f4602b7c8520a0572767646511e36395022fe87edd4",
}
"""sha256 of the test ids. A change here makes every record that was ever measured incomparable."""


@pytest.mark.parametrize(("name", "n", "number"), GOLDEN)
def test_the_splits_are_those_that_were_always_used(name, n, number):
    assert splits(dataset_of(name, n))[number].test_sha256 == GOLDEN[name, n, number]


def test_the_hashes_of_a_split_are_those_of_its_ids():
    split = splits(load_dataset("fktg-sample"))[3]
    for ids, sha256 in ((split.train, split.train_sha256), (split.test, split.test_sha256)):
        assert sha256 == hashlib.sha256("\n".join(str(i) for i in ids).encode()).hexdigest()


@pytest.mark.parametrize("n", [0, 1, 399])
def test_too_few_texts_for_a_split_are_refused(n):
    with pytest.raises(UserError, match=f"^news: {n} texts found, a split needs 400"):
        splits(dataset_of("news", n))


def test_just_enough_texts_are_enough():
    assert len(splits(dataset_of("news", 400))) == 10


# A folder


def test_the_parameter_comes_before_the_variable_and_the_variable_before_the_hub(tmp_path, monkeypatch):
    parameter = write_gz(tmp_path / "parameter", "news", news_rows(word="parameter"))
    variable = write_gz(tmp_path / "variable", "news", news_rows(word="variable"))
    assert "from the hub" in refusal("news")
    monkeypatch.setenv(FOLDER_VARIABLE, str(variable))
    assert load_dataset("news").texts[0] == "variable 0"
    assert load_dataset("news", parameter).texts[0] == "parameter 0"
    assert load_dataset("news", parameter).origin == "folder"


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_parameter_and_an_empty_variable_are_none(monkeypatch, empty):
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert load_dataset("fktg-sample", empty).origin == "sample"


def test_a_folder_that_lacks_the_dataset_does_not_hide_the_hub(tmp_path):
    write_gz(tmp_path, "yelp", [("a", "1 star")])
    assert "could not be downloaded from the hub" in refusal("news", tmp_path)


def test_texts_of_a_folder_are_read_as_they_are(tmp_path):
    odd = [
        ("NA", "World"),
        ("null", "World"),
        ("1.50", "Sports"),
        ('a "b",\nc', "Business"),
        ("ä€😀", "Sci/Tech"),
    ]
    dataset = load_dataset("news", write_gz(tmp_path, "news", odd))
    assert list(zip(dataset.texts, dataset.labels, strict=True)) == odd


def test_texts_of_blanks_are_left_out(tmp_path):
    rows = [("", "World"), (" \t\n", "World"), *news_rows(4)]
    assert load_dataset("news", write_gz(tmp_path, "news", rows)).texts == tuple(text for text, _ in rows[2:])


def test_a_label_without_texts_is_a_warning(tmp_path):
    rows = [(text, "World") for text, _ in news_rows()]
    warnings = load_dataset("news", write_gz(tmp_path, "news", rows)).warnings
    assert warnings == ("news: no text of label Business, Sci/Tech, Sports",)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_gz(tmp_path / "data", "news", news_rows())
    assert load_dataset("news", "~/data").origin == "folder"


@pytest.mark.parametrize("source", ["data_dir", FOLDER_VARIABLE])
def test_a_folder_that_is_not_there_is_refused_by_its_origin(tmp_path, monkeypatch, source):
    absent = str(tmp_path / "absent")
    monkeypatch.setenv(FOLDER_VARIABLE, absent)
    assert f"{source}={absent}: no such folder" in refusal("news", absent if source == "data_dir" else None)


def test_an_unknown_dataset_is_refused_with_the_nearest():
    assert "unknown dataset 'tomatos' (nearest: 'tomatoes'" in refusal("tomatos")


def test_an_unknown_label_is_refused(tmp_path):
    line = refusal("news", write_gz(tmp_path, "news", [*news_rows(), ("x", "sports")]))
    assert "news: label 'sports' is not one of its 4 labels (World, Sports, Business, Sci/Tech)" in line


@pytest.mark.parametrize(
    ("header", "absent"), [(("text", "topic"), "label"), (("Text", "label"), "text"), (("a", "b"), "text")]
)
def test_a_missing_column_is_refused(tmp_path, header, absent):
    line = refusal("news", write_gz(tmp_path, "news", news_rows(), header))
    assert f"news.csv.gz: column {absent!r} not found" in line
    assert f"found {', '.join(map(repr, header))};" in line


def damaged(position, value):
    """A gzip file with one byte changed."""
    packed = bytearray(gzip.compress(as_csv(news_rows()), mtime=0))
    packed[position] = value
    return bytes(packed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text,label\na,World\n",
        gzip.compress(b""),
        gzip.compress(as_csv(news_rows()))[:-200],
        gzip.compress(as_csv(news_rows()))[:12],
        gzip.compress("text,label\nä,World\n".encode("latin-1")),
        gzip.compress(b'text,label\n"open,World\n'),
        gzip.compress(b"text,label\na,World\nb,World,Sports,Business\n"),
        damaged(-6, 0),
        damaged(10, 0xFF),
        damaged(200, 0x55),
    ],
    ids=[
        "nothing",
        "not compressed",
        "empty",
        "cut",
        "cut in the header",
        "not UTF-8",
        "open quote",
        "too many fields",
        "wrong checksum",
        "damaged at the start",
        "damaged in the middle",
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path, content):
    (tmp_path / "news.csv.gz").write_bytes(content)
    assert refusal("news", tmp_path).startswith(f"{tmp_path / 'news.csv.gz'}: not a readable CSV: ")


# FKTG, which somebody has to provide


def test_fktg_is_read_from_the_csv_with_its_own_columns(tmp_path):
    fktg = load_dataset("fktg", write_fktg(tmp_path, sample_rows()))
    assert (len(fktg), fktg.origin, fktg.synthetic, fktg.warnings) == (378, "folder", False, ())
    assert fktg.texts == load_dataset("fktg-sample").texts


def test_fktg_columns_may_stand_among_others(tmp_path):
    rows = [(i, label, text) for i, (text, label) in enumerate(sample_rows())]
    fktg = load_dataset("fktg", write_fktg(tmp_path, rows, ("Nr", "Themenkomplex", "Beitrag")))
    assert fktg.sha256 == load_dataset("fktg-sample").sha256


def test_a_topic_with_nine_entries_is_dropped_and_one_with_ten_is_warned_of(tmp_path):
    small = [(f"Ein Beitrag {i}", "Kleines Thema") for i in range(10)]
    fktg = load_dataset("fktg", write_fktg(tmp_path / "nine", [*small[:9], *sample_rows()]))
    assert (len(fktg), fktg.warnings) == (378, ())
    assert fktg.sha256 == load_dataset("fktg-sample").sha256
    assert load_dataset("fktg", write_fktg(tmp_path / "ten", [*small, *sample_rows()])).warnings == (
        "fktg: labels that the paper does not have: Kleines Thema",
        "fktg: 388 texts, the paper has 378",
    )


def test_a_dataset_that_is_halved_is_halved_at_any_size():
    assert [(len(s.train), len(s.test)) for s in splits(dataset_of("fktg", 369))] == [(185, 184)] * 10


def test_entries_without_a_text_do_not_count_as_entries_of_a_topic(tmp_path):
    small = [*((f"Ein Beitrag {i}", "Kleines Thema") for i in range(9)), (" ", "Kleines Thema")]
    assert len(load_dataset("fktg", write_fktg(tmp_path, [*small, *sample_rows()]))) == 378


@pytest.mark.parametrize("n", [377, 379])
def test_another_number_of_texts_than_the_papers_is_a_warning(tmp_path, n):
    rows = [*sample_rows(), ("Noch ein Beitrag", "geoWK")][:n]
    assert load_dataset("fktg", write_fktg(tmp_path, rows)).warnings == (
        f"fktg: {n} texts, the paper has 378",
    )


def test_the_file_that_the_entry_names_comes_before_a_compressed_one(tmp_path):
    write_gz(tmp_path, "fktg", [])
    assert len(load_dataset("fktg", write_fktg(tmp_path, sample_rows()))) == 378
    (tmp_path / "fktg.csv").unlink()
    assert len(load_dataset("fktg", write_gz(tmp_path, "fktg", sample_rows()))) == 378


def test_a_compressed_file_that_the_entry_names_has_the_columns_of_the_entry(tmp_path, monkeypatch):
    fktg = study().datasets["fktg"]
    named = fktg.model_copy(update={"csv": fktg.csv.model_copy(update={"file": "fktg.csv.gz"})})
    catalogue = study().model_copy(update={"datasets": {**study().datasets, "fktg": named}})
    monkeypatch.setattr(datasets, "study", lambda: catalogue)
    write_gz(tmp_path, "fktg", sample_rows(), ("Beitrag", "Themenkomplex"))
    assert len(load_dataset("fktg", tmp_path)) == 378


@pytest.mark.parametrize("line", ["Ticket about invoice, number 0,billing", "a,billing,more"])
def test_a_comma_in_a_text_without_quotes_loses_nothing_silently(tmp_path, line):
    (tmp_path / "fktg.csv").write_text("\n".join(["Beitrag,Themenkomplex", *[line] * 20]), encoding="utf-8")
    message = refusal("fktg", tmp_path)
    assert message.startswith(
        f"{tmp_path / 'fktg.csv'}: not a readable CSV: line 2 has 3 fields, its head 2; expected UTF-8"
    )


@pytest.mark.parametrize(
    "content", ["," * 100_000, "Beitrag,Themenkomplex\n" + "," * 100_000], ids=["head", "row"]
)
def test_a_line_of_separators_is_refused_at_once(tmp_path, content):
    (tmp_path / "fktg.csv").write_text(content, encoding="utf-8")
    started = time.perf_counter()
    assert "fktg.csv: not a readable CSV: " in refusal("fktg", tmp_path)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("label_first", [False, True])
@pytest.mark.parametrize("separator", [",", ";"])
def test_two_lone_quotes_do_not_swallow_the_rows_between_them(tmp_path, separator, label_first):
    texts = [f"A text about geology {i}" for i in range(40)]
    texts[10], texts[30] = '"quoted at the start', '"too'
    rows = [["Beitrag", "Themenkomplex"], *([text, "geoWK"] for text in texts)]
    content = "".join(separator.join(row[::-1] if label_first else row) + "\n" for row in rows)
    (tmp_path / "fktg.csv").write_text(content, encoding="utf-8")
    message = refusal("fktg", tmp_path)
    assert "look like rows" in message or "expected after '\"'" in message


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
                str.strip
            ),
            st.sampled_from(["a", "b c", "ü"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([",", ";"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_a_csv_writer_writes_comes_back(tmp_path_factory, rows, separator, line_end, names_separator):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(
        [("text", "label"), *rows]
    )
    file = tmp_path_factory.mktemp("csv") / "texts.csv"
    head = f"sep={separator}{line_end}" if names_separator else ""
    file.write_text(head + out.getvalue(), encoding="utf-8", newline="")
    assert read_texts(file, "text", "label") == ([text for text, _ in rows], [label for _, label in rows])


def test_long_texts_are_read_whole(tmp_path):
    file = tmp_path / "texts.csv"
    file.write_text(f"text,label\n{'x' * 1_000_000},a\n", encoding="utf-8")
    limit = csv.field_size_limit()
    (text,), _ = read_texts(file, "text", "label")
    assert len(text) == 1_000_000
    assert csv.field_size_limit() == limit


def test_a_line_that_lacks_its_label_is_reported(tmp_path):
    write_gz(tmp_path, "news", news_rows())
    rows = as_csv(news_rows()) + b"a text alone\r\n"
    (tmp_path / "news.csv.gz").write_bytes(gzip.compress(rows))
    assert "news: label '' is not one of its 4 labels" in refusal("news", tmp_path)
    (tmp_path / "fktg.csv").write_bytes(as_csv(sample_rows(), ("Beitrag", "Themenkomplex")) + b"alone\r\n")
    assert len(load_dataset("fktg", tmp_path)) == 378


def test_a_csv_as_excel_writes_it_in_german_is_read(tmp_path):
    rows = [("Beitrag", "Themenkomplex"), *sample_rows()]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";").writerows(rows)
    (tmp_path / "fktg.csv").write_text(out.getvalue(), encoding="utf-8-sig")
    assert load_dataset("fktg", tmp_path).sha256 == load_dataset("fktg-sample").sha256


def test_another_encoding_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "fktg.csv").write_text("Beitrag,Themenkomplex\nÜber Gestein,geoWK\n", encoding="latin-1")
    assert "expected UTF-8" in refusal("fktg", tmp_path)
    (tmp_path / "fktg.csv").write_text("Beitrag\tThemenkomplex\na\tgeoWK\n", encoding="utf-8")
    assert "found 'Beitrag\\tThemenkomplex'; expected UTF-8" in refusal("fktg", tmp_path)


def test_fktg_without_a_folder_or_a_file_says_what_to_do(tmp_path):
    for line in (refusal("fktg"), refusal("fktg", tmp_path)):
        assert "put fktg.csv (columns Beitrag, Themenkomplex) in a folder" in line
        assert FOLDER_VARIABLE in line
        assert "book/get_the_data.md" in line
    assert (paths.ROOT / "book" / "get_the_data.md").is_file()


def test_fktg_with_another_column_is_refused(tmp_path):
    line = refusal("fktg", write_fktg(tmp_path, sample_rows(), ("Beitrag", "Thema")))
    assert (
        "fktg.csv: column 'Themenkomplex' not found; expected 'Beitrag', 'Themenkomplex', found 'Beitrag', 'Thema';"
        in line
    )


def test_fktg_as_a_spreadsheet_writes_it_is_read(tmp_path):
    (tmp_path / "fktg.csv").write_bytes(b"\xef\xbb\xbf" + as_csv(sample_rows(), ("Beitrag", "Themenkomplex")))
    assert load_dataset("fktg", tmp_path).sha256 == load_dataset("fktg-sample").sha256


def test_the_sample_is_never_taken_from_the_folder_of_fktg(tmp_path):
    write_fktg(tmp_path, [("a", "geoWK")])
    assert load_dataset("fktg-sample", tmp_path).origin == "sample"


# The hub


def fake_hub(monkeypatch, folder, tables, text_column="text", label_column="label"):
    """Let the hub's client give parquet files made here; returns what it is asked for."""
    asked = []

    def download(repository, part, **options):
        asked.append((repository, part, options))
        file = folder / f"{len(asked)}.parquet"
        frame = pd.DataFrame(tables[len(asked) - 1], columns=[text_column, label_column])
        frame.to_parquet(file, index=False)
        return str(file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


@pytest.mark.parametrize("name", ["news", "yelp", "tomatoes", "emotion"])
def test_the_pinned_parts_are_asked_for_joined_in_order_and_their_labels_named(tmp_path, monkeypatch, name):
    hub = study().datasets[name].hub
    tables = [
        [(f"part {number} label {i}", i) for i in range(len(hub.labels))] for number in range(len(hub.parts))
    ]
    asked = fake_hub(monkeypatch, tmp_path, tables)
    dataset = load_dataset(name)
    assert asked == [
        (hub.repository, part, {"repo_type": "dataset", "revision": hub.revision}) for part in hub.parts
    ]
    assert dataset.texts == tuple(text for table in tables for text, _ in table)
    assert dataset.labels == tuple(hub.labels) * len(hub.parts)
    assert (dataset.origin, dataset.warnings) == (f"hub:{hub.repository}@{hub.revision}", ())


def test_the_hubs_label_order_is_the_one_of_the_dataset_cards():
    labels = {name: item.hub.labels for name, item in study().datasets.items() if item.hub}
    assert labels == {
        "news": NEWS,
        "yelp": ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"],
        "tomatoes": ["neg", "pos"],
        "emotion": ["sadness", "joy", "love", "anger", "fear", "surprise"],
    }


@pytest.mark.parametrize("label", [4, -1])
def test_a_label_number_that_the_hub_should_not_have_is_refused(tmp_path, monkeypatch, label):
    fake_hub(monkeypatch, tmp_path, [[("a", 0), ("b", label)]])
    assert f"label {label}" in refusal("news")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no route\nto host"),
        OSError("disk full"),
        LocalEntryNotFoundError("x" * 1000),
        ValueError("offline"),
    ],
)
def test_a_failed_download_is_one_line_that_names_the_variable(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    line = refusal("yelp")
    assert FOLDER_VARIABLE in line
    assert "yelp.csv.gz" in line
    assert "Yelp/yelp_review_full@c1f9ee93" in line
    assert type(error).__name__ in line
    assert len(line) < 600


# The shared copies of the public datasets


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("news", {"World": 1900, "Sports": 1900, "Business": 1900, "Sci/Tech": 1900}),
        ("yelp", {"1 star": 854, "2 stars": 854, "3 stars": 854, "4 stars": 854, "5 stars": 854}),
        ("tomatoes", {"neg": 4040, "pos": 3960}),
        (
            "emotion",
            {"joy": 2713, "sadness": 2313, "anger": 1090, "fear": 938, "love": 653, "surprise": 293},
        ),
    ],
)
def test_the_shared_copies_load_with_their_counts(shared, name, counts):
    dataset = load_dataset(name, shared / "datasets")
    assert pd.Series(dataset.labels).value_counts().to_dict() == counts
    assert (dataset.origin, dataset.warnings) == ("folder", ())
    assert len(splits(dataset)) == 10
