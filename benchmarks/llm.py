"""Compare our client with others: a stub that answers after 200 ms, and a real engine on the CPU (make bench-llm).

On the stub, on the tiny model that vLLM serves, and on a pre-trained one where its checkpoint is there (make real-models),
our client and a bare httpx client ask in turn; the tiny model is asked by vLLM's own client, `vllm bench serve`, too, on
the same prompts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from client import CONCURRENCIES, DELAY_S, PAIRS, Pairs, Pass, compare, line, stub_pairs
from helpers.core.errors import UserError
from helpers.core.lock import MACHINE_LOCK, holding
from helpers.core.paths import BENCHES, BUILD, relative
from helpers.measure.plan import catalogue_model
from helpers.models.llm.client import NAME
from helpers.models.llm.endpoint import Endpoint
from helpers.models.llm.engine import EngineSettings, engine_python
from helpers.models.llm.engine_checks import check_engine
from helpers.models.llm.gguf_checkpoint import folder_of, looks_made
from helpers.models.llm.prompts import instruction, messages
from helpers.models.llm.server import serve
from helpers.models.llm.tiny_model import build_tiny
from helpers.records.hardware import detect
from helpers.results.overhead import here
from helpers.study.catalogue import LanguageModel, study
from helpers.study.datasets import load_dataset, splits
from report import write
from results_llm import LlmBench, Rate, Round, goals_reached

ENGINE_CONCURRENCIES = (1, 8, 32)
ENGINE_TEXTS = 64
REAL_MODEL = "qwen2.5-coder-0.5b"
REAL_CONCURRENCIES = (1, 8)
REAL_TEXTS = 16
REAL_PAIRS = 3
"""A text takes about a second on two cores."""
TOKENS_OUT = 16
"""Of an answer on the engine, at the most; with temperature 0 it is the same for every client."""
PEER_REPEATS = 3
"""How often `vllm bench serve` is given all texts: it measures once, and its start takes long."""
PEER_TIMEOUT_S = 300.0
DATASET = "fktg-sample"
"""Its instruction is what `client.compare` asks with."""
PEER = Path(__file__).with_name("peer_vllm.py")


def bench(concurrencies: Sequence[int], pairs: int, engine: str | None) -> LlmBench:
    """Compare the clients; prints a line per concurrency. An engine that does not start costs only its rows."""
    hardware = detect()
    with holding(MACHINE_LOCK, "another measurement runs on this machine"):
        rounds = [_round("stub", _reported(pair)) for pair in stub_pairs(concurrencies, DELAY_S, pairs)]
        version, problem, real_model = None, None, None
        try:
            if engine is not None:
                version, more = _engine_rounds(engine, pairs)
                rounds += more
                if looks_made(_real_entry()):
                    rounds += _real_rounds(engine)
                    real_model = REAL_MODEL
                else:
                    print(f"{REAL_MODEL} is not there (make real-models): the tiny model only", flush=True)
        except UserError as error:
            problem = str(error)
            print(f"engine: {problem}", flush=True)
    return LlmBench(
        where=here(hardware),
        stub_delay_s=DELAY_S,
        client=f"DSPy over {NAME}",
        engine=version,
        engine_problem=problem or (None if engine else "not asked for"),
        real_model=real_model,
        rounds=rounds,
    )


def peer_rate(endpoint: Endpoint, folder: Path, asked: Sequence[str], concurrency: int) -> Rate:
    """Let `vllm bench serve` ask the same prompts, rendered as the server renders them.

    Raises:
        UserError: one line where it fails or an answer failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file, result = Path(scratch) / "prompts.jsonl", Path(scratch) / "result.json"
        file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked), encoding="utf-8")
        command = [str(engine_python()), str(PEER), "--backend", "openai", "--endpoint", "/v1/completions"]
        command += ["--base-url", endpoint.url.removesuffix("/v1"), "--model", endpoint.model]
        command += ["--tokenizer", str(folder), "--dataset-name", "custom", "--dataset-path", str(file)]
        command += ["--skip-chat-template", "--disable-shuffle", "--custom-output-len", str(TOKENS_OUT)]
        command += ["--num-prompts", str(len(asked)), "--max-concurrency", str(concurrency)]
        command += ["--temperature", "0", "--ready-check-timeout-sec", "0", "--disable-tqdm"]
        command += ["--save-result", "--result-dir", scratch, "--result-filename", result.name]
        try:
            done = subprocess.run(
                command,
                cwd=scratch,
                env=_environment(endpoint),
                capture_output=True,
                text=True,
                timeout=PEER_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"vllm bench serve: no result within {PEER_TIMEOUT_S:g} s") from None
        if done.returncode or not result.is_file():
            last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
            raise UserError(f"vllm bench serve: ended with status {done.returncode}: {last}")
        result_json = json.loads(result.read_text(encoding="utf-8"))
    if result_json["completed"] != len(asked):
        raise UserError(
            f"vllm bench serve: {result_json['completed']} of {len(asked)} requests were answered"
        )
    return Rate(texts_per_s=result_json["request_throughput"], cpu_ms=None)


def _engine_rounds(engine: str, pairs: int) -> tuple[str, list[Round]]:
    """Serve the tiny model and compare all three clients on it; returns the engine with its version, and the rounds."""
    built = build_tiny(BUILD / "tiny")
    settings = EngineSettings(engine=engine, checkpoint=str(built.folder))
    check_engine(settings, detect())
    texts = list(_texts())
    asked = _rendered(built.folder, texts)
    rounds = []
    with serve(settings, BUILD / "bench-llm.log") as server:
        version = f"{engine} {server.version}"
        print(f"{version}, tiny model on the CPU, ready after {server.ready_s:.0f} s", flush=True)
        for concurrency in ENGINE_CONCURRENCIES:
            both = _reported(compare(server.endpoint, concurrency, texts, pairs, TOKENS_OUT))
            rounds.append(_round("engine", both, *_peer(server.endpoint, built.folder, asked, concurrency)))
    return version, rounds


def _real_entry() -> LanguageModel:
    return catalogue_model(LanguageModel, REAL_MODEL)


def _real_rounds(engine: str) -> list[Round]:
    """Serve a pre-trained model and compare our client with the bare one on it."""
    settings = EngineSettings(
        engine=engine,
        checkpoint=str(folder_of(_real_entry())),
        threads=detect().cpu_cores,
        max_model_len=4096,
    )
    check_engine(settings, detect())
    texts = list(_texts())[:REAL_TEXTS]
    with serve(settings, BUILD / "bench-llm.log") as server:
        print(f"{REAL_MODEL} on the CPU, ready after {server.ready_s:.0f} s", flush=True)
        return [
            _round(
                "real model", _reported(compare(server.endpoint, concurrency, texts, REAL_PAIRS, TOKENS_OUT))
            )
            for concurrency in REAL_CONCURRENCIES
        ]


def _texts() -> Iterator[str]:
    """Return texts of the synthetic sample."""
    dataset = load_dataset(DATASET)
    return (dataset.texts[i] for i in splits(dataset)[0].test[:ENGINE_TEXTS])


def _rendered(folder: Path, texts: Sequence[str]) -> list[str]:
    """Return the prompts as the server renders the messages of our client."""
    from transformers import AutoTokenizer  # noqa: PLC0415  (takes seconds)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    task = instruction(study().datasets[DATASET])
    return [
        tokenizer.apply_chat_template(messages(task, text), tokenize=False, add_generation_prompt=True)
        for text in texts
    ]


def _peer(
    endpoint: Endpoint, folder: Path, asked: Sequence[str], concurrency: int
) -> tuple[Rate | None, str | None]:
    try:
        rate = peer_rate(endpoint, folder, list(asked) * PEER_REPEATS, concurrency)
    except UserError as error:
        print(f"concurrency {concurrency:>3}: {error}", flush=True)
        return None, str(error)
    print(f"concurrency {concurrency:>3}: vllm bench serve, {rate.texts_per_s:.1f} texts/s", flush=True)
    return rate, None


def _environment(endpoint: Endpoint) -> dict[str, str]:
    """Return what vLLM's client gets: the key by environment, no package of ours, no network."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "OPENAI_API_KEY": endpoint.api_key, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def _reported(pairs: Pairs) -> Pairs:
    print(line(pairs), flush=True)
    return pairs


def _round(server: str, pairs: Pairs, peer: Rate | None = None, problem: str | None = None) -> Round:
    median, low, high = pairs.ratio
    return Round.model_validate(
        {
            "server": server,
            "transport": pairs.transport,
            "concurrency": pairs.concurrency,
            "texts": pairs.texts,
            "pairs": len(pairs.ratios),
            "ours": _rate(pairs.own),
            "bare": _rate(pairs.bare),
            "ratio": median,
            "ratio_low": low,
            "ratio_high": high,
            "peer": peer,
            "peer_problem": problem,
        }
    )


def _rate(passes: Sequence[Pass]) -> Rate:
    return Rate(
        texts_per_s=statistics.median(item.texts_per_s for item in passes),
        cpu_ms=statistics.median(item.cpu_ms for item in passes),
    )


def main() -> int:
    """Run the bench and leave its result; the exit status is 1 where our client is too slow on the stub."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concurrency", type=int, nargs="+", default=list(CONCURRENCIES), help="on the stub")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"rounds of both clients (default: {PAIRS})")
    parser.add_argument(
        "--engine", default="vllm-eager", help="of data/study/engines.yaml (default: vllm-eager)"
    )
    parser.add_argument("--no-engine", action="store_true", help="the stub only")
    parser.add_argument("--out", type=Path, default=BENCHES, help="folder of the result")
    given = parser.parse_args()
    try:
        result = bench(given.concurrency, given.pairs, None if given.no_engine else given.engine)
        file = write(result, given.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(file.with_suffix(".md").read_text(encoding="utf-8"))
    print(f"{relative(file)} and {file.with_suffix('.md').name}")
    return 0 if goals_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
