"""What is expected of a run of a language model beside what is expected of every run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from helpers.models.llm.server_metrics import EngineCounters
from helpers.records.storage import Check, Counts

SAME_ANSWERS = 0.99
"""Share of the texts that shall have the same outcome in all passes; batches make floating-point sums differ."""
_HERE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Counted:
    """What was counted over the window of one split, all passes."""

    texts: int
    """Texts asked."""
    unanswered: int
    """Requests without an answer."""
    client: Counts | None
    engine: EngineCounters | None
    cached: int = 0
    """Texts that the cache answered, so that nothing was sent for them."""


def no_cache(windows: Sequence[Counted], prefix_caching: bool) -> Check:
    """Show that every text reached the engine and that nothing of it was known there before, unless that was chosen."""
    engines = [window.engine for window in windows if window.engine is not None]
    if len(engines) < len(windows):
        return _unknown("no_cache")
    asked = sum(window.texts - window.unanswered - window.cached for window in windows)
    reached = sum(engine.requests for engine in engines)
    hits, looked_up = (sum(getattr(e, name) for e in engines) for name in ("prefix_hits", "prefix_queries"))
    message = f"{reached} requests reached the engine for {asked} texts that were answered"
    if cached := sum(window.cached for window in windows):
        message += f"; {cached} more were answered by dspy_cache, which is on by choice"
    if prefix_caching:
        share = hits / looked_up if looked_up else 0.0
        return _check(
            "no_cache",
            reached >= asked,
            f"{message}; prefix caching is on by choice, {share:.1%} were in the cache",
        )
    return _check(
        "no_cache",
        reached >= asked and hits == 0,
        f"{message}, and {hits} prompt tokens were found in its prefix cache, expected none",
    )


def engine_counts_agree(windows: Sequence[Counted]) -> Check:
    """Compare the requests and tokens that the client counted with the engine's, window by window."""
    apart, compared = [], 0
    for number, window in enumerate(windows):
        if window.engine is None:
            return _unknown("engine_counts_agree")
        if window.client is None:
            apart.append(f"split {number}: the server did not report the tokens of every answer")
            continue
        for name in Counts.model_fields:
            client_count, engine_count = getattr(window.client, name), getattr(window.engine, name)
            compared += client_count
            if client_count != engine_count:
                lost = f", {window.unanswered} got no answer" if window.unanswered else ""
                apart.append(
                    f"split {number}: {name} {client_count} here, {engine_count} in the engine{lost}"
                )
    message = (
        "; ".join(apart[:3]) or f"requests and tokens are the same here and in the engine, {compared} in sum"
    )
    return _check("engine_counts_agree", not apart, message)


def every_text_answered(failures: Mapping[str, int], texts: int) -> Check:
    """No request failed; `failures` are those of the server and the connection, by kind."""
    message = (
        ", ".join(f"{count} {kind}" for kind, count in sorted(failures.items()))
        or "every request was answered"
    )
    return _check("every_text_answered", not failures, f"{message}; {texts} texts")


def passes_agree(agreement: Sequence[float]) -> Check:
    """Texts have the same outcome in every pass; temperature 0 alone does not see to that."""
    if not agreement:
        return _check("passes_agree", True, "one pass only, so nothing was repeated", "warning")
    worst = min(agreement)
    return _check(
        "passes_agree",
        worst >= SAME_ANSWERS,
        f"{worst:.1%} of the texts had the same outcome in all passes, expected {SAME_ANSWERS:.0%}",
        "warning",
    )


def constraint_applied(apart: int, answered: int) -> Check:
    """Show that the server held its answers to the categories; `apart` of the `answered` texts were given another answer."""
    return _check(
        "constraint_applied",
        apart == 0,
        f"{apart} of {answered} answers are none of the categories in DSPy's format, expected none",
    )


def engine_here(engine: str, gpus: int, gpus_there: int) -> Check:
    """Tell where an endpoint that ran already takes energy that is not measured: elsewhere, or on GPUs not named.

    Args:
        engine: a name, or the URL of an endpoint.
        gpus: GPUs that the run says it uses.
        gpus_there: GPUs of this machine.
    """
    started_here = "://" not in engine
    if not started_here and urlsplit(engine).hostname not in _HERE:
        return _check("engine_here", False, "the endpoint is elsewhere: its energy is not in this run")
    if not started_here and gpus == 0 and gpus_there:
        message = f"the endpoint may use this machine's {gpus_there} GPUs, which are not counted; say so with gpus=N"
        return _check("engine_here", False, message)
    return _check("engine_here", True, "the engine runs on this machine")


def _unknown(name: str) -> Check:
    return _check(name, False, "the engine does not report its counts, so this cannot be checked", "warning")


def _check(name: str, passed: bool, message: str, severity: Literal["error", "warning"] = "error") -> Check:
    return Check(name=name, passed=passed, message=message, severity=severity)
