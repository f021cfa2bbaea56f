"""The client that shares no code with the package: it sends the same messages, and reads a stub's answers alike."""

import importlib.util
import sys

import pandas as pd
import pytest

from helpers.models.llm import prompts
from helpers.study.catalogue import study
from tests.conftest import ROOT
from tests.support.stub_server import KEY, MODEL, stub


@pytest.fixture(scope="module")
def plain():
    spec = importlib.util.spec_from_file_location("plain_client", ROOT / "benchmarks" / "plain_client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dataset", ["news", "yelp", "tomatoes", "emotion"])
def test_its_messages_are_those_of_the_package(plain, dataset):
    entry = study().datasets[dataset]
    text = "A text\nof two lines."
    assert plain.messages(text, entry.labels) == prompts.messages(prompts.instruction(entry, "en"), text)


def test_it_imports_nothing_of_the_package(plain):
    assert not [
        name for name, value in vars(plain).items() if "helpers" in str(getattr(value, "__module__", ""))
    ]


@pytest.mark.parametrize(("wrong", "status"), [(0, 0), (20, 1)])
def test_it_compares_its_accuracy_with_the_records(plain, tmp_path, monkeypatch, capsys, wrong, status):
    labels = [study().datasets["news"].labels[number % 4] for number in range(40)]
    texts = [f"{number} say: {label}" for number, label in enumerate(labels)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "news.csv.gz", index=False)
    told = pd.DataFrame({"id": range(40), "label": labels, "category": labels})
    told.to_parquet(tmp_path / "predictions.parquet")
    record = f'{{"run": {{"asked": {{"max_tokens": 128}}}}, "splits": [{{"correct": {40 - wrong}}}]}}'
    (tmp_path / "record.json").write_text(record, encoding="utf-8")
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    with stub() as server:
        given = ["plain_client.py", str(tmp_path), "--url", server.endpoint.url, "--model", MODEL]
        given += ["--data", str(tmp_path / "news.csv.gz"), "--labels", "World,Sports,Business,Sci/Tech"]
        monkeypatch.setattr(sys, "argv", given)
        assert plain.main() == status
    assert f"plain client 1.000, record {1 - wrong / 40:.3f} on 40 texts" in capsys.readouterr().out
