"""Table 2: the machines (paper, Table 2) and those of the measured campaigns."""

import pandas as pd

from helpers.core import paths
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import tables as parts
from helpers.records.storage import Environment, read_record
from helpers.results.tables import Tables
from helpers.study.catalogue import paper_machines


def table_2(tables: Tables) -> Figure:
    """Show Table 2 as printed and, from their records, the machines on which runs were measured."""
    published = tables.printed["table_2_clusters"].assign(source="published", origin="table_2_clusters")
    ours = _measured(tables.results)
    body = html_table(_shown(published), "As published")
    body += parts.block(
        ours, "Machines of measured runs, from their records", "Nothing was measured on this machine.", _OURS
    )
    return Figure(
        name="table_2_machines",
        label="Table 2",
        finding=_finding(published, ours),
        note=(
            "The paper calls its machines clusters. In print it stays open whether the cores are counted per CPU or per "
            "node. The memory of a measured machine is what a run may use, which is what the paper's rule for memory counts."
        ),
        data=pd.concat([published, ours], ignore_index=True),
        function="helpers.figures.paper.table_2.table_2",
        body=body,
        inputs=parts.inputs(published["origin"], ours["origin"]),
    )


_COLUMNS = ["source", "machine", "cpu", "cores", "ram_gb", "gpus", "driver", "container", "runs", "origin"]
_OURS = {
    "machine": "Machine",
    "source": "Campaign",
    "cpu": "CPU",
    "cores": "Cores",
    "ram_gb": "Memory (GB)",
    "gpus": "GPUs",
    "runs": "Runs",
}


def _measured(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per campaign, machine and hardware; `origin` names all its records."""
    rows = results[results["source"] != "published"]
    found = [
        {"source": source, "machine": machine, "origin": origin}
        | _hardware(read_record(paths.ROOT / str(origin)).environment)
        for source, machine, origin in zip(rows["source"], rows["machine"], rows["origin"], strict=True)
    ]
    frame = pd.DataFrame(found, columns=[name for name in _COLUMNS if name != "runs"])
    keys = [name for name in frame.columns if name != "origin"]
    grouped = frame.groupby(keys, dropna=False, sort=False)["origin"]
    return grouped.agg(runs="count", origin=" ".join).reset_index()[_COLUMNS]


def _hardware(environment: Environment) -> dict[str, object]:
    names = sorted({gpu.model for gpu in environment.gpus})
    counted = [f"{sum(gpu.model == name for gpu in environment.gpus)} x {name}" for name in names]
    memory = sorted({f"{gpu.memory_gb:.0f} GB" for gpu in environment.gpus})
    return {
        "cpu": environment.cpu_model,
        "cores": environment.cpu_cores,
        "ram_gb": environment.ram_gb,
        "gpus": f"{', '.join(counted)} ({', '.join(memory)})" if counted else "none",
        "driver": environment.driver,
        "container": environment.container,
    }


def _finding(published: pd.DataFrame, ours: pd.DataFrame) -> str:
    titles = {name: machine.title for name, machine in paper_machines().items()}
    cards = [
        f"{titles[name]} ({card.removeprefix('NVIDIA ')})"
        for name, card in zip(published["machine"], published["gpu_model"], strict=True)
    ]
    lead = f"The paper ran on {parts.listed(cards)}"
    if ours.empty:
        return f"{lead}; nothing was measured on this machine."
    same = sorted(set(ours["machine"]) & set(published["machine"]))
    which = (
        f"among them {parts.listed([titles[name] for name in same])}"
        if same
        else "none of them one of the paper's"
    )
    count = ours["machine"].nunique()
    return f"{lead}; our runs come from {count} machine{'s' if count > 1 else ''}, {which}."


def _shown(published: pd.DataFrame) -> pd.DataFrame:
    """Lay the machines out as in print: one column each."""
    columns = {
        paper_machines()[str(row["machine"])].title: [
            row["hpc_center"],
            str(row["number_of_nodes"]),
            f"{row['cpu_per_node']}, {row['cpu_clock_ghz']} GHz",
            row["ram_per_node"],
            f"{row['gpu_per_node']} x {row['gpu_model']} ({row['gpu_memory_gb']} GB)",
            f"{row['gpu_max_power_w']} W",
        ]
        for _, row in published.iterrows()
    }
    return pd.DataFrame(
        {"Per node": ["Center", "Nodes", "CPU", "Memory", "GPUs", "Most that a GPU draws"], **columns}
    )
