"""Measure a language model: serve it, ask it, and prove that it was asked (paper, section 3.2)."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pandas as pd

from helpers.core.errors import TransientError, UserError
from helpers.measure import llm_checks, llm_run, preflight, response_stats
from helpers.measure import run as measurement
from helpers.measure.heartbeat import heartbeat
from helpers.measure.llm_checks import Counted
from helpers.measure.plan import LlmPlan
from helpers.measure.run import Answers, MeasuredSplit, SystemUnderTest
from helpers.measure.settings import WARM_UP_TEXTS
from helpers.measure.shots import examples
from helpers.metering.multi_node import RunMeter
from helpers.models.llm import prompts
from helpers.models.llm.answer_cache import AnswerCache
from helpers.models.llm.answer_parser import PARSE_FAILURES, REQUEST_FAILURES
from helpers.models.llm.checkpoint import is_local
from helpers.models.llm.engine import check_constraint
from helpers.models.llm.engine_checks import check_engine
from helpers.models.llm.entry_checks import check_folder
from helpers.models.llm.generation import allowed_answers, check_generation
from helpers.models.llm.inference import InferenceClient, Reply, open_inference_client
from helpers.models.llm.server import Server, serve
from helpers.models.llm.server_metrics import EngineCounters
from helpers.records.storage import Check, Record, Run
from helpers.study.catalogue import study
from helpers.study.datasets import Dataset, Split, pick, splits


def check_ready(plan: LlmPlan) -> Dataset:
    """Check the input, that the run does not exist yet and that it can be stored; returns the dataset.

    Raises:
        UserError: one line that says what is missing and what to do.
    """
    preflight.check_target(plan)
    return check_input(plan)


def check_input(plan: LlmPlan) -> Dataset:
    """Check what needs the data, the checkpoint and the engine; returns the dataset.

    Raises:
        UserError: one line that says what is missing and what to do.
    """
    dataset = preflight.load_run_dataset(plan)
    prompts.check_texts(dataset)
    training = len(splits(dataset)[0].train)
    if plan.parameters.shots > training:
        raise UserError(
            f"shots={plan.parameters.shots}: the training set of a split of {dataset.name} has {training} texts; "
            "give fewer examples"
        )
    if plan.parameters.threads and not plan.engine_threads:
        raise UserError(
            f"threads={plan.parameters.threads}: they are chosen for an engine that is started on the CPU of one node only; "
            "leave it out"
        )
    if plan.engine_threads > plan.hardware.cpu_cores:
        raise UserError(
            f"threads={plan.engine_threads}: this run may use {plan.hardware.cpu_cores} cores, and each thread is bound to "
            "one; give as many or fewer"
        )
    check_generation(plan.generation)
    check_constraint(plan.served, plan.generation)
    if is_local(plan.served.checkpoint) and not plan.served.runs_already:
        checkpoint = Path(plan.served.checkpoint).expanduser()
        folder = checkpoint.parent if checkpoint.suffix == ".gguf" else checkpoint
        check_folder(folder, plan.parameters.model, plan.model)
    check_engine(plan.served, plan.hardware)
    return dataset


def measure(plan: LlmPlan, dataset: Dataset) -> Record:
    """Serve the model, measure all splits and publish the record; prints a line per split, and what takes long meanwhile.

    Starting the server and loading the model is the phase `load`. Per split: some training texts to warm up,
    then passes over the test texts, `concurrency` at a time, until `window_s` seconds are over. With `dspy_cache` each of
    these passes begins with the answers that earlier splits left, and warming up has no part in it.

    Raises:
        UserError: one line where the server cannot be started, or is gone before the end.
    """

    @contextmanager
    def load() -> Iterator[SystemUnderTest]:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "server.log"
            with ExitStack() as served:
                with heartbeat(lambda: "engine starting"):
                    server = served.enter_context(serve(plan.served, log, plan.parameters.start_timeout_s))
                yield _Loaded(plan, dataset, server)

    return measurement.measure(plan, dataset, load)


def reply_table(record: Record) -> pd.DataFrame:
    """Return the responses per split, one row each, for the notebook to show."""
    return pd.DataFrame(
        {
            "split": item.split,
            "parse_failures": item.parse_failures,
            "tokens_in": item.tokens_in,
            "tokens_out": item.tokens_out,
            **(item.replies.model_dump(exclude={"failures", "client", "engine"}) if item.replies else {}),
        }
        for item in record.splits
    )


def _check_answered(split: Split, replies: Sequence[Reply]) -> None:
    """Check that the server answered at least every second text: an accuracy near 0 would be its own, not the model's.

    Raises:
        TransientError: one line with the kinds of failures.
    """
    failed = Counter(reply.kind for reply in replies if reply.kind in REQUEST_FAILURES)
    if 2 * failed.total() > len(replies):
        kinds = ", ".join(f"{count} {kind}" for kind, count in failed.most_common())
        raise TransientError(
            f"split {split.number}: the server did not answer {failed.total()} of {len(replies)} texts ({kinds}), expected "
            "answers to most; see what the server logs, then start the run again"
        )


class _Loaded:
    """A language model that is served."""

    def __init__(self, plan: LlmPlan, dataset: Dataset, server: Server) -> None:
        self._plan = plan
        self._dataset = dataset
        self._server = server
        self._entry = study().datasets[dataset.name]
        self._instruction = prompts.instruction(self._entry, plan.language)
        self._dspy_engine = ""
        self._shown: list[tuple[str, str]] = []
        self._counted: list[Counted] = []
        self._cache = AnswerCache() if plan.generation.dspy_cache else None
        self._config = plan.generation
        if self._config.output_mode == "constrained":
            self._config = replace(self._config, constraint=server.constraint(self._config.timeout_s))
        self._allowed = set(allowed_answers(self._entry.labels))
        self._not_allowed = 0
        self._answered = 0

    def measure_split(self, meter: RunMeter, split: Split) -> MeasuredSplit:
        """Ask for the test texts."""
        labels, dataset = self._entry.labels, self._dataset
        shown = examples(self._plan, dataset, [split])
        texts = pick(dataset.texts, split.test)
        self._shown += shown
        passes: list[list[Reply]] = []
        with open_inference_client(
            self._server.endpoint, self._instruction, labels, self._config, shown, self._cache
        ) as client:
            self._dspy_engine = client.engine
            _, warm_up = meter.measure(lambda: self._warm_up(client, split))
            before = self._server.counters()
            with heartbeat(lambda: f"split {split.number}: {client.answered()} of {len(texts)} texts"):
                window = meter.window(
                    lambda: passes.append(self._ask(client, texts)), self._plan.parameters.window_s
                )
            self._server.check_alive()
            _check_answered(split, passes[0])
            counted = self._count(before, passes)
            first = client.count_thinking(passes[0])
        if self._cache is not None:
            self._cache.end_split()
        self._counted.append(counted)
        answers = [reply.answer for one in passes for reply in one if reply.answer is not None]
        self._answered += len(answers)
        self._not_allowed += sum(answer not in self._allowed for answer in answers)
        measured = MeasuredSplit(
            split, None, warm_up, window, self._answers(split, [first, *passes[1:]], counted)
        )
        measurement.report(measured)
        return measured

    def run(self) -> Run:
        """Describe the run."""
        return llm_run.describe(
            self._plan,
            self._dataset,
            self._server,
            self._config,
            prompts.prompt_sha256(self._instruction, self._shown),
            self._dspy_engine,
        )

    def checks(self, measured: Sequence[MeasuredSplit]) -> list[Check]:
        """Check the requests: no cache, counts that agree, an answer to each, the same in every pass."""
        replies = [item.answers.replies for item in measured if item.answers.replies is not None]
        failed = Counter[str]()
        for item in replies:
            failed.update({kind: n for kind, n in item.failures.items() if kind in REQUEST_FAILURES})
        return [
            llm_checks.no_cache(self._counted, self._plan.parameters.prefix_caching),
            llm_checks.engine_counts_agree(self._counted),
            llm_checks.every_text_answered(failed, sum(item.answers.texts for item in measured)),
            llm_checks.passes_agree([item.agreement for item in replies if item.agreement is not None]),
            *(
                [llm_checks.constraint_applied(self._not_allowed, self._answered)]
                if self._config.output_mode == "constrained"
                else []
            ),
            llm_checks.engine_here(
                self._plan.parameters.engine, self._plan.gpus, len(self._plan.hardware.gpus)
            ),
        ]

    def _warm_up(self, client: InferenceClient, split: Split) -> None:
        client.warm_up()
        many = max(WARM_UP_TEXTS, self._plan.parameters.concurrency)
        client.ask(pick(self._dataset.texts, split.train[:many]))

    def _ask(self, client: InferenceClient, texts: Sequence[str]) -> list[Reply]:
        with nullcontext() if self._cache is None else self._cache.one_pass():
            asked = client.ask(texts)
        if any(reply.kind in REQUEST_FAILURES for reply in asked):
            self._server.check_alive()  # a fault of one text is counted, the end of the server ends the run
        return asked

    def _count(self, before: EngineCounters | None, passes: Sequence[Sequence[Reply]]) -> Counted:
        """Return what client and engine counted since `before`."""
        asked = [reply for one in passes for reply in one]
        after = self._server.counters()
        return Counted(
            texts=len(asked),
            unanswered=sum(reply.kind in REQUEST_FAILURES for reply in asked),
            cached=sum(reply.cached > 0 and reply.requests == 0 for reply in asked),
            client=response_stats.client_counts(asked),
            engine=None if before is None or after is None else after - before,
        )

    def _answers(self, split: Split, passes: Sequence[Sequence[Reply]], counted: Counted) -> Answers:
        first, labels = passes[0], pick(self._dataset.labels, split.test)
        kinds = Counter(reply.kind for reply in first)
        dummy = self._plan.parameters.weights == "dummy"
        right = sum(reply.category == label for reply, label in zip(first, labels, strict=True))
        return Answers(
            texts=len(first),
            correct=None if dummy else right,
            parse_failures=None if dummy else sum(kinds[kind] for kind in PARSE_FAILURES),
            predictions=response_stats.predictions(split, labels, first),
            tokens_in=response_stats.tokens(first, "tokens_in"),
            tokens_out=response_stats.tokens(first, "tokens_out"),
            requests_sent=sum(reply.requests for reply in first),
            requests_cached=None if self._cache is None else sum(reply.cached for reply in first),
            requests_answered=sum(map(response_stats.answered_requests, first)),
            replies=response_stats.summary(passes, counted),
            raw=response_stats.raw_answers(split, first) if self._plan.parameters.keep_answers else None,
        )
