"""The verbs of `python -m helpers`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from helpers.errors import UserError

_EXAMPLES = """examples:
  python -m helpers doctor                       what this machine can measure, and what to do about the rest
  python -m helpers study                        what can be measured: models, datasets, machines, campaigns
  python -m helpers measure traditional -p model=linear-tfidf -p dataset=fktg-sample
  python -m helpers run reference-cpu            measure a campaign, or what is left of it
  python -m helpers book                         measure the demo, analyse everything, build the book
  python -m helpers analyse figure_1_accuracy_energy   rebuild just this figure
  python -m helpers results --csv                published and measured values, one row per run
  python -m helpers compare reference-cpu        its accuracies beside those of the paper
  python -m helpers fit --machine capella        the paper's regression of energy on duration, refitted
  python -m helpers claims                       the paper's claims, recomputed, with verdicts
  python -m helpers promote reference-cpu        file a finished campaign under data/measurements
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0, or 2 after one line about what is wrong with the input."""
    options = _parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.action
    try:
        return action(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as `head` does
        return 0
    except OSError as error:
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers",
        description="Reproducible companion to Zschache & Hartwig (arXiv 2508.14170).",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    verb = verbs.add_parser("study", help="list models, datasets, machines and campaigns")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=_study)

    verb = verbs.add_parser(
        "doctor",
        help="what this machine can measure and what not; status 0 where a paper could use it, else 1",
    )
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=_doctor)

    verb = verbs.add_parser("measure", help="measure one run with a notebook of notebooks/measure")
    verb.add_argument("notebook", choices=["traditional"])
    verb.add_argument(
        "-p",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter; repeatable",
    )
    verb.add_argument("--json", action="store_true", help="print the record")
    verb.set_defaults(action=_measure)

    verb = verbs.add_parser("run", help="measure a campaign; finished runs are not repeated")
    verb.add_argument("campaign")
    verb.add_argument("--json", action="store_true", help="print the campaign's rows of the results table")
    verb.set_defaults(action=_run)

    verb = verbs.add_parser("book", help="measure a campaign, execute the analyses, build the HTML book")
    verb.add_argument("--campaign", default="demo", help="what to measure first (default: demo)")
    verb.add_argument("--no-measure", action="store_true", help="build from the records that are there")
    verb.set_defaults(action=_book)

    verb = verbs.add_parser("analyse", help="execute one analysis notebook for the book")
    verb.add_argument("notebook", metavar="NAME", help="a notebook of notebooks/analysis, without .ipynb")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=_analyse)

    _add_tables(verbs)
    return parser


def _add_tables(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs that read what was measured."""
    verb = verbs.add_parser("results", help="print the results table")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="as CSV (default)")
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--write", metavar="FOLDER", help="write all three tables there, as CSV")
    verb.add_argument("--source", help="published, or the name of a campaign")
    verb.add_argument(
        "--table", choices=["results", "observations", "split_results"], default="results", help="which table"
    )
    verb.set_defaults(action=_results)

    verb = verbs.add_parser("compare", help="a campaign's accuracies beside the published ones")
    verb.add_argument("campaign")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=_compare)

    verb = verbs.add_parser("fit", help="regression of energy on duration and GPUs (paper, Table 3)")
    verb.add_argument("--machine", required=True, help="capella, paula, clara, or the machine of a campaign")
    verb.add_argument("--source", default="published", help="published (default), or the name of a campaign")
    verb.add_argument("--dataset", help="only the runs on this dataset (default: all)")
    verb.add_argument(
        "--accounting",
        metavar="MODE",
        help="total_as_published (default for published), measured_only (default for campaigns) or gpu_only",
    )
    verb.add_argument("--json", action="store_true", help="with covariance and the points used, for scripts")
    verb.set_defaults(action=_fit)

    verb = verbs.add_parser("claims", help="the paper's claims, recomputed from the results tables")
    verb.add_argument("--source", default="published", help="published (default), or the name of a campaign")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=_claims)

    verb = verbs.add_parser("promote", help="copy a campaign's records from runs to data/measurements")
    verb.add_argument("campaign")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=_promote)


# The verbs import what they need: `--help` and a mistyped name answer at once.


def _study(options: argparse.Namespace) -> int:
    from helpers.study import study

    catalogue = study()
    if options.json:
        print(catalogue.model_dump_json(indent=1))
        return 0
    _section("models", {key: f"{item.title} ({item.family})" for key, item in catalogue.models.items()})
    _section(
        "embeddings",
        {key: item.repository or f"package {item.package}" for key, item in catalogue.embeddings.items()},
    )
    _section("datasets", {key: item.task for key, item in catalogue.datasets.items()})
    _section(
        "machines",
        {key: f"{item.gpus_per_node} x {item.gpu_model} a node" for key, item in catalogue.machines.items()},
    )
    _section("campaigns", {key: item.title for key, item in catalogue.campaigns.items()})
    return 0


def _section(title: str, items: dict[str, str]) -> None:
    width = max(map(len, items))
    print(f"{title}:")
    for name, text in items.items():
        print(f"  {name:<{width}}  {text}")


def _doctor(options: argparse.Namespace) -> int:
    from helpers.doctor import run_doctor

    return run_doctor(options.json)


def _measure(options: argparse.Namespace) -> int:
    from helpers.parameters import plan

    chosen = plan(dict(_assignment(text) for text in options.parameters), "parameters")

    from helpers import execute  # after the cheap checks: it takes seconds
    from helpers.results import describe

    record = execute.measure(chosen)
    print(record.model_dump_json(indent=1) if options.json else describe(record))
    return 0


def _assignment(text: str) -> tuple[str, Any]:
    from helpers.parameters import TraditionalParameters

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"-p {text}: expected NAME=VALUE, for example -p model=linear-tfidf")
    field = TraditionalParameters.model_fields.get(name)
    if field is None or field.annotation in (int, float):
        try:
            parsed = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            parsed = value
        return name, parsed if isinstance(parsed, int | float | bool) else value
    return name, value


def _run(options: argparse.Namespace) -> int:
    from helpers import results, workflow

    status = workflow.run(options.campaign, "campaign")
    if status == 0 and options.json:
        table = results.of_campaign(results.load_tables().results, options.campaign)
        print(table.to_json(orient="records", indent=1, force_ascii=False))
    return status


def _book(options: argparse.Namespace) -> int:
    from helpers import book, show, workflow

    status = workflow.run(None if options.no_measure else options.campaign, "book")
    if status == 0:
        if not book.has_static_images():
            print(show.NO_BROWSER)
        print(f"the book: {book.HTML / 'index.html'}")
    return status


def _analyse(options: argparse.Namespace) -> int:
    from helpers import execute
    from helpers.paths import relative

    executed = relative(execute.analyse(options.notebook))
    print(json.dumps({"executed": executed}) if options.json else executed)
    return 0


def _results(options: argparse.Namespace) -> int:
    from helpers import results

    tables = results.load_tables()
    for line in tables.refused:
        print(f"refused: {line}", file=sys.stderr)
    if options.write:
        for name in ("results", "observations", "split_results"):
            getattr(tables, name).to_csv(Path(options.write) / f"{name}.csv", index=False)
        return 0
    table = results.select(getattr(tables, options.table), options.source)
    if options.json:
        print(table.to_json(orient="records", indent=1, force_ascii=False))
    else:
        table.to_csv(sys.stdout, index=False)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from helpers.compare import compare, summary
    from helpers.results import load_tables

    table = compare(load_tables().results, options.campaign)
    print(
        table.to_json(orient="records", indent=1)
        if options.json
        else f"{table.to_string()}\n{summary(table)}"
    )
    return 0


def _fit(options: argparse.Namespace) -> int:
    from helpers.accounting import TITLES
    from helpers.results import load_tables
    from helpers.statistics import regression

    mode = options.accounting or ("total_as_published" if options.source == "published" else "measured_only")
    points = regression.points(load_tables().results, options.source, options.machine, options.dataset, mode)
    fitted = regression.fit(points)
    if options.json:
        print(json.dumps(regression.as_json(fitted, mode), indent=1, ensure_ascii=False))
        return 0
    for name, term in fitted.terms.items():
        stars = regression.stars(term.p_value)
        print(f"{regression.TITLES[name]:<14}{term.estimate:>12.6g} ({term.std_error:.3g}) {stars}")
    print(
        f"{fitted.n} runs, R2 {fitted.r2:.4f}, adjusted R2 {fitted.adjusted_r2:.4f}; energy in Wh: {TITLES[mode]}"
    )
    return 0


def _claims(options: argparse.Namespace) -> int:
    from helpers.claims import ledger
    from helpers.results import load_tables, select

    tables = load_tables()
    select(tables.results, options.source)  # refuses a source that is not there
    assessments = ledger.evaluate(tables, options.source)
    if options.json:
        print(json.dumps(ledger.as_json(assessments), indent=1, ensure_ascii=False))
        return 0
    for item in assessments:
        print(f"{item.verdict:<22}{item.claim.id}: {item.reason}")
    return 0


def _promote(options: argparse.Namespace) -> int:
    from helpers.paths import relative
    from helpers.promote import promote

    promoted = [relative(folder) for folder in promote(options.campaign)]
    print(
        json.dumps(promoted, indent=1) if options.json else "\n".join(f"promoted {name}" for name in promoted)
    )
    return 0
