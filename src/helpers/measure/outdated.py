"""Whether a record is of what its run would measure now: the data, the splits and the prompt may have changed since."""

from importlib.util import find_spec

from helpers.measure.plan import LlmPlan, Plan
from helpers.measure.shots import examples
from helpers.models.llm import prompts
from helpers.records.storage import Record
from helpers.study.catalogue import study
from helpers.study.datasets import Dataset, splits


def outdated(record: Record, plan: Plan, dataset: Dataset) -> str | None:
    """Return what has changed in the catalogue or the data since a run was measured; None where nothing has.

    Neither the sizes of the splits nor the labels and the sentence of the prompt are part of a run's name.
    """
    run, chosen = record.run, splits(dataset)
    if run.dataset_sha256 != dataset.sha256:
        return f"it used other texts of {dataset.name} than the current ones"
    for item in record.splits:
        if (item.train_ids_sha256, item.test_ids_sha256) != (
            chosen[item.split].train_sha256,
            chosen[item.split].test_sha256,
        ):
            return f"its splits are not the current ones of {dataset.name} in data/study/datasets.yaml"
    if (
        isinstance(plan, LlmPlan) and run.asked is not None and find_spec("dspy")
    ):  # absent where only the book is built
        instruction = prompts.instruction(study().datasets[dataset.name], plan.language)
        shown = examples(plan, dataset, [chosen[item.split] for item in record.splits])
        if run.asked.prompt_sha256 != prompts.prompt_sha256(instruction, shown):
            return (
                f"its prompt is not the current one of data/study/prompts.yaml with the labels of {dataset.name} "
                "(or another version of DSPy writes it)"
            )
    return None
