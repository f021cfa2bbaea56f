"""The files that a bench leaves: JSON, and the same as tables in Markdown."""

from pathlib import Path

import pandas as pd

from helpers.core import units
from helpers.results.overhead import (
    GOAL_PERCENT,
    GpuBench,
    MeterBench,
    Where,
    cell_table,
    gpu_table,
    load_sentence,
    overhead_table,
    tool_table,
)
from helpers.results.tables import load_tables
from results_campaign import CampaignBench, campaign_table, campaign_verdict
from results_llm import (
    GpuLlmBench,
    LlmBench,
    client_table,
    client_verdict,
    gpu_llm_table,
    gpu_llm_verdict,
    published,
)

Bench = MeterBench | GpuBench | LlmBench | GpuLlmBench | CampaignBench


def write(bench: Bench, folder: Path) -> Path:
    """Write a result as `KIND-MACHINE.json` with a `.md` beside it; returns the JSON file."""
    kind, text = _markdown(bench)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{kind}-{bench.where.machine}.json"
    file.write_text(bench.model_dump_json(indent=1) + "\n", encoding="utf-8")
    file.with_suffix(".md").write_text(text, encoding="utf-8")
    return file


def _markdown(bench: Bench) -> tuple[str, str]:
    """Return the kind of a bench and its tables."""
    match bench:
        case MeterBench():
            return "meter", meter_markdown(bench)
        case GpuBench():
            return "gpu-meter", gpu_markdown(bench)
        case LlmBench():
            return "llm", llm_markdown(bench)
        case GpuLlmBench():
            return "gpu-llm", gpu_llm_markdown(bench)
        case CampaignBench():
            return "campaign", campaign_markdown(bench)


def meter_markdown(bench: MeterBench) -> str:
    """Return the tables of a bench of the meter."""
    parts = [
        f"# Bench of the meter on {bench.where.machine}",
        f"{_machine(bench.where)} {load_sentence(bench)}",
        "Values are per pass. Ratios are to the long run of the same task by the same tool in the same process: its "
        "duration by a monotonic clock, its energy as the tool itself reports it. The power ratio is the energy ratio at equal "
        "speed: the machine may have been slower in one of both. Its range is that of the repeats.",
        _table(cell_table(bench)),
        _table(tool_table(bench)),
        f"Overhead on the measured duration, goal under {GOAL_PERCENT:g} %. Around the work a measurement of ours takes "
        f"{units.duration(bench.edge_s)}.",
        _table(overhead_table(bench)),
    ]
    return "\n\n".join(parts) + "\n"


def gpu_markdown(bench: GpuBench) -> str:
    """Return the table of a bench on a GPU."""
    parts = [
        f"# Bench of the GPU meter on {bench.where.machine}",
        f"{_machine(bench.where)} Driver {bench.driver}, torch {bench.torch}. Windows of at least {bench.window_s:g} s, a row "
        f"of the time line every {bench.period_s:g} s.",
        "Energy of the GPU per pass by its counter; the integrals of its power and CodeCarbon's energy as a ratio to it.",
        _table(gpu_table(bench)),
    ]
    return "\n\n".join(parts) + "\n"


def llm_markdown(bench: LlmBench) -> str:
    """Return the table of a bench of the client."""
    problem = f" The engine was not asked: {bench.engine_problem}." if bench.engine_problem else ""
    parts = [
        f"# Bench of the client on {bench.where.machine}",
        f"{_machine(bench.where)} Our client: {bench.client}.{problem}",
        "Texts per second are medians. The ratio is that of our client to a bare asynchronous one (httpx), each pair of "
        "rounds in turn: the median and its 95 % bootstrap interval. `vllm bench serve` is vLLM's own client on the same "
        "prompts; it streams the answers and parses none.",
        _table(client_table(bench)),
        client_verdict(bench),
    ]
    return "\n\n".join(parts) + "\n"


def gpu_llm_markdown(bench: GpuLlmBench) -> str:
    """Return the table of a bench of dummy weights on a GPU, beside the paper and the bounds."""
    results = load_tables().results
    papers = {model: published(results, model) for model in dict.fromkeys(run.model for run in bench.runs)}
    parts = [
        f"# Many texts at a time on {bench.where.machine}",
        f"{_machine(bench.where)} Driver {bench.driver}, engine {bench.engine}.",
        "Architectures of two of the paper's models with dummy weights: they cost what the real ones cost and answer "
        "nothing. One pass over 189 texts; tokens per text. The GPU's energy is by NVML's counter where the records say so, "
        "the other adds up CPU, GPU and memory as the paper does. The bound is arithmetic (`helpers.study.roofline`), not a "
        "measurement.",
        _table(gpu_llm_table(bench, papers)),
        gpu_llm_verdict(bench),
    ]
    return "\n\n".join(parts) + "\n"


def campaign_markdown(bench: CampaignBench) -> str:
    """Return where the time of a campaign went."""
    parts = [
        f"# Bench of a campaign on {bench.where.machine}",
        _machine(bench.where),
        campaign_verdict(bench),
        _table(campaign_table(bench)),
        f"The machine rests {units.duration(bench.cool_down_s / bench.runs)} between two measurements, counted from the end "
        "of the last one. Python, kernels and packages start meanwhile: what they take is part of the configured rests, and "
        "only the remainder is waited for.",
    ]
    return "\n\n".join(parts) + "\n"


def _machine(machine: Where) -> str:
    gpus = ", ".join(gpu.model for gpu in machine.gpus) or "no GPU"
    changed = " with changes" if machine.git_dirty else ""
    return (
        f"{machine.created}, {machine.cpu_model}, {machine.cpu_cores} cores, {machine.ram_gb:g} GB, {gpus}, "
        f"commit {machine.git_commit or 'none'}{changed}."
    )


def _table(frame: pd.DataFrame) -> str:
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows)


def _cell(value: object) -> str:
    return "-" if value is None or pd.isna(value) else str(value).replace("|", "\\|")
