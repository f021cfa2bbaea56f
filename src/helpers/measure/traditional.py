"""Measure a traditional model: train, warm up, classify (paper, section 3.1)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd

from helpers.core.errors import UserError
from helpers.measure import preflight
from helpers.measure import run as measurement
from helpers.measure.heartbeat import heartbeat
from helpers.measure.plan import TraditionalPlan
from helpers.measure.run import Answers, MeasuredSplit, SystemUnderTest
from helpers.metering.checks import metered_the_right_gpu
from helpers.metering.multi_node import RunMeter
from helpers.models import traditional
from helpers.records.storage import Check, Record, Run
from helpers.study.datasets import Dataset, Split, check_training_labels, pick, splits


def check_ready(plan: TraditionalPlan) -> Dataset:
    """Check the input, that the run does not exist yet and that it can be stored; returns the dataset.

    Raises:
        UserError: one line that says what is missing and what to do.
    """
    preflight.check_target(plan)
    return check_input(plan)


def check_input(plan: TraditionalPlan) -> Dataset:
    """Check what needs the data and the checkpoint; returns the dataset.

    Raises:
        UserError: one line that says what is missing and what to do.
    """
    dataset = preflight.load_run_dataset(plan)
    traditional.check_model(plan.model)
    for split in splits(dataset)[: plan.parameters.splits]:
        check_training_labels(dataset, split)
        try:
            traditional.check_vocabulary(plan.model, pick(dataset.texts, split.train))
        except UserError as error:
            raise UserError(f"{dataset.name}, split {split.number}: {error}") from None
    if plan.checkpoint is not None:
        traditional.check_embedding(plan.checkpoint, plan.parameters.device)
    return dataset


def measure(plan: TraditionalPlan, dataset: Dataset) -> Record:
    """Measure all splits of a run and publish its record; prints a line per split.

    Per split: train on the training texts, one warm-up pass, then passes over the test texts (features
    and prediction) until `window_s` seconds are over.
    """

    @contextmanager
    def load() -> Iterator[SystemUnderTest]:
        embedding = None
        if plan.checkpoint is not None:
            embedding = traditional.load_embedding(plan.checkpoint, plan.parameters.device)
        yield _Loaded(plan, dataset, embedding)

    return measurement.measure(plan, dataset, load)


def texts_read_whole(tokens: Sequence[int], most: int | None) -> Check:
    """No test text is longer than what the embedding reads of it; `tokens` are those of each, `most` the limit."""
    limit = max(tokens) if most is None else most
    cut = sum(count > limit for count in tokens)
    seen = sum(min(count, limit) for count in tokens) / sum(tokens)
    message = (
        f"{cut} of {len(tokens)} test texts are longer than the {limit} tokens that the embedding reads of a text; "
        f"it has read {seen:.0%} of all tokens"
        if cut
        else f"the embedding has read all of the {len(tokens)} test texts"
    )
    return Check(name="texts_read_whole", passed=cut == 0, message=message, severity="warning")


class _Loaded:
    """A traditional model whose embedding, if it has one, is loaded."""

    def __init__(
        self, plan: TraditionalPlan, dataset: Dataset, embedding: traditional.Embedding | None
    ) -> None:
        self._plan = plan
        self._dataset = dataset
        self._embedding = embedding

    def measure_split(self, meter: RunMeter, split: Split) -> MeasuredSplit:
        """Train on the training texts and classify the test texts."""
        train_texts, train_labels = (
            pick(self._dataset.texts, split.train),
            pick(self._dataset.labels, split.train),
        )
        test_texts = pick(self._dataset.texts, split.test)
        with heartbeat(lambda: f"split {split.number}: training and warm-up"):
            classifier, train = meter.measure(
                lambda: traditional.train(self._plan.model, self._embedding, train_texts, train_labels)
            )
            answers, warm_up = meter.measure(lambda: classifier.predict(test_texts))
        with heartbeat(lambda: f"split {split.number}: passes over {len(test_texts)} texts"):
            window = meter.window(lambda: classifier.predict(test_texts), self._plan.parameters.window_s)
        measured = MeasuredSplit(split, train, warm_up, window, self._answers(split, answers))
        measurement.report(measured)
        return measured

    def run(self) -> Run:
        """Describe the run."""
        plan, chosen, embedding, dataset = self._plan, self._plan.parameters, self._embedding, self._dataset
        return Run(
            run_id=plan.run_id,
            campaign=chosen.campaign,
            notebook="traditional",
            model=chosen.model,
            family=plan.model.family,
            checkpoint=embedding.checkpoint if embedding else None,
            revision=embedding.revision if embedding else None,
            checkpoint_sha256=embedding.weights_sha256 if embedding else None,
            weights="trained here",
            dtype=embedding.dtype if embedding else None,
            dataset=dataset.name,
            dataset_origin=dataset.origin,
            dataset_sha256=dataset.sha256,
            synthetic=dataset.synthetic,
            machine=plan.machine,
            device=chosen.device,
            gpus=plan.gpus,
            nodes=plan.nodes,
            concurrency=1,
            splits=chosen.splits,
            window_s=chosen.window_s,
        )

    def checks(self, measured: Sequence[MeasuredSplit]) -> list[Check]:
        """Check whether the GPU that computed is the one whose energy was counted, and whether texts were cut."""
        checks = []
        if self._plan.gpus:
            readings = [item.window.reading for item in measured]
            checks.append(metered_the_right_gpu(traditional.gpu_uuid(), readings))
        if self._embedding is not None:
            ids = sorted({number for item in measured for number in item.split.test})
            tokens = self._embedding.count_tokens(pick(self._dataset.texts, ids))
            checks.append(texts_read_whole(tokens, self._embedding.max_tokens))
        return checks

    def _answers(self, split: Split, answers: Sequence[str]) -> Answers:
        labels = pick(self._dataset.labels, split.test)
        return Answers(
            texts=len(labels),
            correct=sum(a == b for a, b in zip(answers, labels, strict=True)),
            parse_failures=0,
            predictions=pd.DataFrame({"id": split.test, "label": labels, "answer": answers}),
        )
