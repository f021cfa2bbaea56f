"""Write fktg-sample, the synthetic German corpus that stands in for the FKTG data set.

Every choice is taken from the SHA-256 of a key, so that the file is the same on every machine.
"""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from helpers.core import paths

TOPICS = (
    "geoWK",
    "Tongestein",
    "Aktive Störungszonen",
    "Öffentlichkeitsbeteiligung",
    "Kristallingestein",
    "FEP/Szenarien/Entwicklungen des Endlagersystems",
    "Anwendung geoWK",
    "Mindestanforderungen",
    "Steinsalz in steiler Lagerung",
    "Datenverfügbarkeit",
    "Modellierung",
    "Referenzdatensätze",
    "Bereitstellung der Daten",
    "Ausschlusskriterien",
)
CHOICE = re.compile(r"\{(?P<slot>\w+)\}|\[(?P<alternatives>[^\[\]{}]*)\]")


@dataclass(frozen=True)
class Topic:
    """The sentences of one topic and how many statements it gets."""

    size: int
    direct: list[str]
    indirect: list[str]


@dataclass(frozen=True)
class Voice:
    """Who speaks: the opening sentences and slot fillers of one grammatical person."""

    openings: list[str]
    slots: dict[str, list[str]]


@dataclass(frozen=True)
class Family:
    """Topics that are hard to separate, and the sentences they share."""

    topics: list[str]
    shared: list[str]


@dataclass(frozen=True)
class Phrases:
    """The word bank, as in `data/sample/phrases.yaml`, where its notation is explained."""

    plans: dict[str, int]
    voices: dict[str, Voice]
    slots: dict[str, list[str]]
    fillers: list[str]
    closings: list[str]
    families: dict[str, Family]
    topics: dict[str, Topic]


def load(path: Path) -> Phrases:
    """Read and check the word bank.

    Args:
        path: The YAML file.

    Raises:
        ValueError: If a topic is missing, unknown or without sentences, or belongs to no family.
    """
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    phrases = Phrases(
        plans=raw["plans"],
        voices={name: Voice(**voice) for name, voice in raw["voices"].items()},
        slots=raw["slots"],
        fillers=raw["fillers"],
        closings=raw["closings"],
        families={name: Family(**family) for name, family in raw["families"].items()},
        topics={name: Topic(**topic) for name, topic in raw["topics"].items()},
    )
    check(phrases)
    return phrases


def check(phrases: Phrases) -> None:
    """Refuse a word bank that does not have sentences for exactly the 14 topics.

    Raises:
        ValueError: With one line that names the topics at fault.
    """
    grouped = {topic for family in phrases.families.values() for topic in family.topics}
    complete = {name for name, topic in phrases.topics.items() if topic.direct and topic.indirect}
    problems = {
        "missing topics": set(TOPICS) - set(phrases.topics),
        "unknown topics": (set(phrases.topics) | grouped) - set(TOPICS),
        "topics without sentences": set(phrases.topics) - complete,
        "topics in no family": set(TOPICS) - grouped,
    }
    for problem, topics in problems.items():
        if topics:
            raise ValueError(f"word bank: {problem}: {', '.join(sorted(topics))}")


def digest(key: str) -> int:
    """Turn a key into a large number."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")


def pick(key: str, options: Sequence[str]) -> str:
    """Choose the option that the key stands for."""
    return options[digest(key) % len(options)]


def expand(key: str, sentence: str, slots: Mapping[str, Sequence[str]]) -> str:
    """Fill the slots, choose the alternatives and start with a capital."""
    while match := CHOICE.search(sentence):
        name = match["slot"]
        options = slots[name] if name else match["alternatives"].split("|")
        chosen = pick(f"{key}/{sentence}", options)
        sentence = sentence[: match.start()] + chosen + sentence[match.end() :]
    sentence = re.sub(r" +([.,?!])", r"\1", " ".join(sentence.split()))
    return sentence[0].upper() + sentence[1:]


def statement(key: str, label: str, phrases: Phrases) -> str:
    """Compose one statement.

    Args:
        key: What its choices are drawn from.
        label: Its topic.
        phrases: The word bank.
    """
    voice = phrases.voices[pick(f"{key}/voice", sorted(phrases.voices))]
    slots = phrases.slots | voice.slots
    other = pick(f"{key}/other", [topic for topic in TOPICS if topic != label])
    families = [family for family in phrases.families.values() if label in family.topics]
    pools = {
        "open": voice.openings,
        "close": phrases.closings,
        "filler": phrases.fillers,
        "shared": [sentence for family in families for sentence in family.shared],
        "direct": phrases.topics[label].direct,
        "indirect": phrases.topics[label].indirect,
        "other": phrases.topics[other].direct,
    }
    plans = [plan for plan, weight in phrases.plans.items() for _ in range(weight)]
    chosen: list[str] = []
    for position, part in enumerate(pick(f"{key}/plan", plans).split()):
        unused = [sentence for sentence in pools[part] if sentence not in chosen]
        chosen.append(pick(f"{key}/{position}", unused))
    return " ".join(expand(f"{key}/{sentence}", sentence, slots) for sentence in chosen)


def generate(phrases: Phrases) -> list[tuple[str, str]]:
    """Compose the corpus: distinct statements with their topics, in shuffled order."""
    rows: dict[str, str] = {}
    for label in TOPICS:
        attempt, target_rows = 0, len(rows) + phrases.topics[label].size
        while len(rows) < target_rows:
            rows.setdefault(statement(f"{label}/{attempt}", label, phrases), label)
            attempt += 1
    return sorted(rows.items(), key=lambda row: digest(row[0]))


def render(rows: Sequence[tuple[str, str]]) -> bytes:
    """Write the corpus in the form of the FKTG data set."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["Beitrag", "Themenkomplex"])
    writer.writerows(rows)
    return buffer.getvalue().encode("utf-8")


def write(path: Path) -> None:
    """Write the corpus, drawn from the word bank `phrases.yaml` in the same folder.

    Args:
        path: The CSV file.
    """
    path.write_bytes(render(generate(load(path.with_name("phrases.yaml")))))


if __name__ == "__main__":
    write(paths.SAMPLE)
