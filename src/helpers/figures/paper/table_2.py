"""Table 2: the machines (paper, Table 2) and those of the measured campaigns."""

import pandas as pd

from helpers.core import paths, units
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import tables as parts
from helpers.records.storage import Environment, read_record
from helpers.results.tables import Tables, select_real
from helpers.study.catalogue import paper_machines


def table_2(tables: Tables) -> Figure:
    """Show Table 2 as printed and, from their records, the machines on which runs were measured."""
    return draw(rows(tables), measured_machines(tables.results))


def rows(tables: Tables) -> pd.DataFrame:
    """Return the machines as printed, one row each."""
    return tables.printed["table_2_clusters"].assign(source="published", origin="table_2_clusters")


def draw(published: pd.DataFrame, measured: pd.DataFrame) -> Figure:
    """Lay out the printed `rows` and the `measured_machines`."""
    body = html_table(_one_column_each(published), "As published")
    body += parts.block(
        measured,
        "Machines of measured runs, from their records",
        "Nothing was measured by us.",
        _HEADINGS,
    )
    return Figure(
        name="table_2_machines",
        label="Table 2",
        finding=_finding(published, measured),
        note=(
            "The paper calls its machines clusters. The table does not say whether the cores are counted per CPU or "
            "per node. The memory of a measured machine is what a run may use, as in the paper's rule for memory."
        ),
        data=pd.concat([published, measured], ignore_index=True),
        function="helpers.figures.paper.table_2.table_2",
        body=body,
        inputs=parts.inputs(published["origin"], measured["origin"]),
    )


_COLUMNS = ["source", "machine", "cpu", "cores", "ram_gb", "gpus", "driver", "container", "runs", "origin"]
_HEADINGS = {
    "machine": "Machine",
    "source": "Campaign",
    "cpu": "CPU",
    "cores": "Cores",
    "ram_gb": "Memory (GB)",
    "gpus": "GPUs",
    "runs": "Runs",
}


def measured_machines(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per campaign, machine and hardware, with its number of `runs`; `origin` names all its records."""
    runs = select_real(results[results["source"] != "published"])
    hardware = [
        {"source": source, "machine": machine, "origin": origin}
        | _hardware(read_record(paths.ROOT / str(origin)).environment)
        for source, machine, origin in zip(runs["source"], runs["machine"], runs["origin"], strict=True)
    ]
    frame = pd.DataFrame(hardware, columns=[name for name in _COLUMNS if name != "runs"])
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


def _finding(published: pd.DataFrame, measured: pd.DataFrame) -> str:
    titles = {name: machine.title for name, machine in paper_machines().items()}
    cards = [
        f"{titles[name]} ({card.removeprefix('NVIDIA ')})"
        for name, card in zip(published["machine"], published["gpu_model"], strict=True)
    ]
    lead = f"The paper ran on {parts.listed(cards)}"
    if measured.empty:
        return f"{lead}; nothing was measured by us."
    same = sorted(set(measured["machine"]) & set(published["machine"]))
    which = (
        f"among them {parts.listed([titles[name] for name in same])}"
        if same
        else "none of them one of the paper's"
    )
    count = measured["machine"].nunique()
    return f"{lead}; our runs come from {units.counted(count, 'machine')}, {which}."


def _one_column_each(published: pd.DataFrame) -> pd.DataFrame:
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
        {"Per node": ["Center", "Nodes", "CPU", "Memory", "GPUs", "Maximum power of a GPU"], **columns}
    )
