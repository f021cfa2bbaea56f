"""What the program `vllm bench serve` does; run by the engine's Python.

Two things are in the way of the program itself: it asks for a package `vllm`, which the CPU build does not have under
that name, and it reads the prompts with pandas, which the engine does not need.
"""

import argparse
import json
from pathlib import Path

from vllm.benchmarks.datasets import CustomDataset
from vllm.benchmarks.serve import add_cli_args, main


def load_data(dataset: CustomDataset) -> None:
    """Read the prompts, one JSON object a line, and keep their order."""
    lines = Path(dataset.dataset_path).read_text(encoding="utf-8").splitlines()
    dataset.data = [json.loads(line) for line in lines]


if __name__ == "__main__":
    CustomDataset.load_data = load_data
    parser = argparse.ArgumentParser(description=__doc__)
    add_cli_args(parser)
    main(parser.parse_args())
