"""Ask the texts of a committed run again with a client of a few lines that shares no code with the package.

Start the engine with the command that the record names (`run.served.command`), then, for example:

    .venv/bin/python benchmarks/plain_client.py data/measurements/reference-llm-cpu/news-... \
        --url http://127.0.0.1:8000/v1 --model qwen2.5-coder-0.5b --data /path/to/news.csv.gz \
        --labels World,Sports,Business,Sci/Tech

It sends the same messages (DSPy's chat format, paper's Appendix A), one after the other, counts answers whose category is
the label letter by letter, and prints its accuracy beside the record's. The exit status is 1 where they are more than
two standard errors apart. The key of the server is read from VLLM_API_KEY.
"""

import argparse
import json
import math
import os
import sys
from pathlib import Path

import httpx
import pandas as pd

SYSTEM = """Your input fields are:
1. `text` (str):
Your output fields are:
1. `category` (str):
All interactions will be structured in the following way, with the appropriate values filled in.

[[ ## text ## ]]
{text}

[[ ## category ## ]]
{category}

[[ ## completed ## ]]
In adhering to this structure, your objective is: 
        Classify the text as one of the following categories:
"""  # noqa: W291  (the blank is DSPy's)
END = (
    "\n\nRespond with the corresponding output fields, starting with the field `[[ ## category ## ]]`, and then ending with "
    "the marker for `[[ ## completed ## ]]`."
)


def messages(text: str, labels: list[str]) -> list[dict[str, str]]:
    """Return what is sent for a text."""
    listed = "\n".join(f"        - {label}" for label in labels)
    return [
        {"role": "system", "content": SYSTEM + listed},
        {"role": "user", "content": f"[[ ## text ## ]]\n{text}{END}"},
    ]


def category(answer: str) -> str:
    """Return the first line behind the marker; empty where there is none."""
    lines = answer.partition("[[ ## category ## ]]")[2].strip().splitlines()
    return lines[0].strip() if lines else ""


def main() -> int:
    """Ask, and print both accuracies."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "run", type=Path, help="folder of a run with one split: record.json and predictions.parquet"
    )
    parser.add_argument("--url", required=True, help="of the server, with /v1")
    parser.add_argument("--model", required=True, help="name under which it serves the model")
    parser.add_argument(
        "--data", type=Path, required=True, help="NAME.csv.gz with the columns text and label"
    )
    parser.add_argument(
        "--labels", required=True, help="as data/study/datasets.yaml lists them, with commas between"
    )
    given = parser.parse_args()
    record = json.loads((given.run / "record.json").read_text(encoding="utf-8"))
    asked = pd.read_parquet(given.run / "predictions.parquet")
    data = pd.read_csv(given.data, keep_default_na=False)
    texts, labels = data["text"].iloc[asked["id"]], data["label"].iloc[asked["id"]]
    if list(labels) != list(asked["label"]):
        print(
            f"error: {given.data} has other labels than the run's texts; give the data that it was measured on"
        )
        return 2
    headers = {"Authorization": f"Bearer {os.environ.get('VLLM_API_KEY', 'none')}"}
    found = []
    with httpx.Client(base_url=given.url, headers=headers, timeout=600, trust_env=False) as client:
        for text in texts:
            body = {
                "model": given.model,
                "messages": messages(text, given.labels.split(",")),
                "temperature": 0.0,
                "max_tokens": record["run"]["asked"]["max_tokens"],
            }
            answer = client.post("/chat/completions", json=body).raise_for_status().json()
            found.append(category(answer["choices"][0]["message"]["content"] or ""))
    own = sum(one == label for one, label in zip(found, labels, strict=True)) / len(found)
    recorded = sum(item["correct"] for item in record["splits"]) / len(found)
    same = sum(one == other for one, other in zip(found, asked["category"].fillna(""), strict=True))
    error = math.sqrt((own * (1 - own) + recorded * (1 - recorded)) / len(found))
    print(
        f"plain client {own:.3f}, record {recorded:.3f} on {len(found)} texts; the same category for {same}; two standard "
        f"errors are {2 * error:.3f}"
    )
    return 0 if abs(own - recorded) <= 2 * error else 1


if __name__ == "__main__":
    sys.exit(main())
