"""The verbs of `python -m helpers`."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from helpers import verbs
from helpers.core.errors import UserError

_EXAMPLES = """examples:
  python -m helpers doctor                       what this machine can measure, and what to do about the rest
  python -m helpers study                        what can be measured: models, datasets, machines, campaigns
  python -m helpers measure traditional -p model=linear-tfidf -p dataset=fktg-sample
  python -m helpers measure llm -p model=qwen2.5-0.5b -p dataset=news
  python -m helpers plan paper-capella           what a campaign will take, before anything starts
  python -m helpers fetch paper-capella          its data and checkpoints, for nodes without internet
  python -m helpers run reference-cpu            measure a campaign, or what is left of it
  python -m helpers book                         measure the demo, analyse everything, build the book
  python -m helpers analyse table_3_regression   rebuild just this table
  python -m helpers results --csv                published and measured values, one row per run
  python -m helpers compare reference-cpu        its accuracies beside those of the paper
  python -m helpers fit --machine capella        the paper's regression of energy on duration, refitted
  python -m helpers claims                       the paper's claims, recomputed, with verdicts
  python -m helpers audit                        verify the built book and everything behind it
  python -m helpers export reference-cpu         its records in one ZIP file, as for Zenodo
  python -m helpers import from-the-cluster/     records of other machines, checked, into runs
  python -m helpers promote reference-cpu        copy a finished campaign to data/measurements
  python -m helpers describe                     write sums and descriptions after a change of data/
  python -m helpers tiny-model                   a language model without a download, for `run tiny`

status: 0 where all is done; 1 where something asked for is missing or has findings; 2 after one line about what is wrong
with the input; 130 where it was stopped
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0, or 2 after one line about what is wrong with the input."""
    options = parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.action
    _set_up_logging(options.verbose - options.quiet, to_stderr=getattr(options, "json", False))
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


class _Lines(logging.StreamHandler[Any]):
    """Writes messages; a reader that has gone, or a full disk, is reported by `main`, not by a traceback a line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        """Raise what went wrong while writing."""
        raise  # noqa: PLE0704  (logging calls this in its handler of the exception)


def _set_up_logging(verbosity: int, to_stderr: bool) -> None:
    """Show the messages of the package: progress from 0 on, only warnings below, details with time and module above.

    They go to standard output, or to standard error where the output is JSON for scripts.
    """
    handler = _Lines(sys.stderr if to_stderr else sys.stdout)
    details = "%(asctime)s %(levelname)s %(name)s: " if verbosity > 0 else ""
    handler.setFormatter(logging.Formatter(f"{details}%(message)s"))
    logger = logging.getLogger("helpers")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if verbosity > 0 else logging.INFO if verbosity == 0 else logging.WARNING)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs; the reference is made from it."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers",
        description="Reproducible companion to Zschache & Hartwig (arXiv 2508.14170).",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsers = parser.add_subparsers(metavar="VERB", required=True)

    verb = _verb(parsers, "study", "list models, datasets, machines and campaigns")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.study)

    verb = _verb(
        parsers,
        "doctor",
        "what this machine can measure and what not; status 0 where a paper could use it, else 1",
    )
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.doctor)

    verb = _verb(parsers, "measure", "measure one run with a notebook of notebooks/measure")
    verb.add_argument("notebook", choices=["traditional", "llm"], help="for which kind of models")
    verb.add_argument(
        "-p",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter; repeatable",
    )
    verb.add_argument(
        "--attempt",
        metavar="N",
        type=_from_one,
        help="attempt N of a campaign at this run: its outcome is written beside the run",
    )
    verb.add_argument("--json", action="store_true", help="print the record")
    verb.set_defaults(action=verbs.measure)

    verb = _verb(parsers, "tiny-model", "train a tiny language model on invented texts, for tests and demos")
    verb.add_argument(
        "folder", nargs="?", help="where to write it (default: the checkpoint folder of the catalogue)"
    )
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.tiny_model)

    verb = _verb(
        parsers,
        "plan",
        "what a campaign will take, what of it is done, what cannot run and why; starts nothing",
    )
    verb.add_argument("campaign", help="its name in the catalogue")
    target = verb.add_mutually_exclusive_group()
    target.add_argument(
        "--machine",
        metavar="NAME",
        help="plan for a machine of the catalogue, as capella (default: this machine)",
    )
    target.add_argument(
        "--site", metavar="NAME", help="plan for the nodes of a site, with the files that are here"
    )
    verb.add_argument(
        "--grid",
        metavar="NAME",
        default="germany",
        help="grid whose carbon intensity is used: a name of data/study/grids.yaml (default: germany)",
    )
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts; what is unknown is null")
    verb.set_defaults(action=verbs.plan)

    verb = _verb(
        parsers,
        "fetch",
        "get the data and checkpoints of a campaign into the Hugging Face hub's cache and verify them; status 1 where "
        "something is missing",
    )
    verb.add_argument("campaign", help="its name in the catalogue")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts; the lines go to stderr")
    verb.set_defaults(action=verbs.fetch)

    verb = _verb(
        parsers,
        "run",
        "measure a campaign, in random order; finished runs are not repeated; status 1 where some are missing at the end",
    )
    verb.add_argument("campaign", help="its name in the catalogue")
    verb.add_argument(
        "--site",
        metavar="NAME",
        help="a site of workflow/sites, or a YAML file (default: one run at a time, here)",
    )
    verb.add_argument(
        "--seed", metavar="N", type=int, help="of the order (default: chosen, and kept with the runs)"
    )
    verb.add_argument("--json", action="store_true", help="print the campaign's rows of the results table")
    verb.set_defaults(action=verbs.run)

    verb = _verb(parsers, "book", "measure a campaign, execute the analyses, build the HTML book")
    verb.add_argument("--campaign", default="demo", help="what to measure first (default: demo)")
    verb.add_argument("--no-measure", action="store_true", help="build from the records that are there")
    verb.add_argument("--zip", metavar="FILE", help="pack the book into FILE, too; it opens without a server")
    verb.set_defaults(action=verbs.book)

    verb = _verb(parsers, "analyse", "execute one analysis notebook for the book, or all")
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "notebook", metavar="NAME", nargs="?", help="a notebook of notebooks/analysis, without .ipynb"
    )
    what.add_argument("--all", action="store_true", help="all of them")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.analyse)

    _add_tables(parsers)
    return parser


def _verb(
    parsers: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str
) -> argparse.ArgumentParser:
    """Add a verb; its own help says what it does, as the list of verbs does."""
    verb = parsers.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    level = verb.add_mutually_exclusive_group()
    level.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="messages with time, level and module, and those for debugging",
    )
    level.add_argument("-q", "--quiet", action="count", default=0, help="warnings and errors only")
    return verb


def _from_one(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 on")
    return int(text)


def _add_tables(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs that read what was measured."""
    verb = _verb(parsers, "results", "print the results table")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="as CSV (default)")
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--write", metavar="FOLDER", help="write all three tables there, as CSV")
    verb.add_argument("--source", help="published, or the name of a campaign")
    verb.add_argument(
        "--table", choices=["results", "observations", "split_results"], default="results", help="which table"
    )
    verb.set_defaults(action=verbs.results)

    verb = _verb(parsers, "compare", "a campaign's accuracies beside the published ones")
    verb.add_argument("campaign", help="its name: one that runs are stored under")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.compare)

    verb = _verb(parsers, "fit", "regression of energy on duration and GPUs (paper, Table 3)")
    verb.add_argument("--machine", required=True, help="capella, paula, clara, or the machine of a campaign")
    verb.add_argument("--source", default="published", help="published (default), or the name of a campaign")
    verb.add_argument("--dataset", help="only the runs on this dataset (default: all)")
    verb.add_argument(
        "--accounting",
        metavar="MODE",
        help="total_as_published (default for published), measured_only (default for campaigns) or gpu_only",
    )
    verb.add_argument("--json", action="store_true", help="with covariance and the points used, for scripts")
    verb.set_defaults(action=verbs.fit)

    verb = _verb(parsers, "claims", "the paper's claims, recomputed from the results tables")
    verb.add_argument("--source", default="published", help="published (default), or the name of a campaign")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.claims)

    verb = _verb(
        parsers,
        "audit",
        "verify the built book: data, records, notebooks, figures, numbers, pages, links; figures are "
        "executed again and compared; status 1 and a line for each finding",
    )
    verb.add_argument("name", metavar="NAME", nargs="?", help="one figure or table (default: everything)")
    verb.add_argument(
        "--no-execute",
        dest="execute",
        action="store_false",
        help="skip re-executing figures: seconds, not minutes",
    )
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.audit)

    verb = _verb(parsers, "promote", "copy a campaign's records from runs to data/measurements")
    verb.add_argument("campaign", help="its name in the catalogue")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.promote)

    verb = _verb(
        parsers,
        "describe",
        "write what is derived from data/ and committed: sums, data packages, codecheck.yml, .zenodo.json",
    )
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.describe)

    verb = _verb(
        parsers,
        "export",
        "write a campaign's records with their files into a ZIP file for an archive, checked and described",
    )
    verb.add_argument("campaign", help="its name in the catalogue, or another one that runs are stored under")
    verb.add_argument("--to", metavar="FILE", help="the ZIP file (default: _build/CAMPAIGN.zip)")
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.export)

    verb = _verb(
        parsers,
        "import",
        "copy runs of other machines into runs; status 1 where one was refused or is in conflict",
    )
    verb.add_argument(
        "source",
        metavar="PATH",
        help="a folder or ZIP file that holds CAMPAIGN/RUN/record.json, at any depth",
    )
    verb.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verb.set_defaults(action=verbs.import_runs)
