"""Cards that the paper did not use, compared with those that it did, by the data sheets of their makers."""

import math
from dataclasses import dataclass

from helpers.campaigns.plan.target import Target, catalogue_target
from helpers.models.llm.engine_checks import BFLOAT16
from helpers.study.catalogue import paper_machines
from helpers.study.roofline import find_limits


@dataclass(frozen=True)
class Factor:
    """By what a duration changes from one run to another, and where that is seen."""

    value: float
    why: str


@dataclass(frozen=True)
class OtherCard:
    """How a card that the paper did not use compares with one that it did."""

    machine: str
    """Of the paper, with that one."""
    factor: Factor
    """From the durations there, by the bandwidths of the memories."""
    power_factor: float
    """By the maximum powers."""
    title: str


def other_card(target: Target) -> OtherCard | None:
    """Compare the card of a machine with the paper's card that is nearest in bandwidth; None where nothing is to compare.

    Only with cards that compute in bfloat16, as the checkpoints are published; the V100 has to take another format. It is
    rough at best, and worse far away: in the paper a model of 7 billion parameters takes no longer on the A30 than on the
    H100, whose memory is 3.6 times as fast.
    """
    card_limits = find_limits(target.hardware.gpus[0].model) if target.hardware.gpus else None
    if target.like is not None or card_limits is None:
        return None
    papers = [
        (name, machine.gpu_model, limits)
        for name, machine in paper_machines().items()
        if (limits := find_limits(machine.gpu_model)) is not None
        and (catalogue_target(name).capability or (0, 0)) >= BFLOAT16
    ]
    machine, card, like = min(
        papers, key=lambda item: abs(math.log(item[2].bandwidth_tb_per_s / card_limits.bandwidth_tb_per_s))
    )
    value = like.bandwidth_tb_per_s / card_limits.bandwidth_tb_per_s
    why = f"x {value:.2f} from the {card}'s memory bandwidth to that of {card_limits.title} (rough)"
    return OtherCard(
        machine, Factor(value, why), card_limits.max_power_w / like.max_power_w, card_limits.title
    )
