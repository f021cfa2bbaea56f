"""Does one run decide a coefficient of the regression of energy on duration and GPUs (paper, section 4.2)?"""

import numpy as np
import pandas as pd

from helpers.statistics import regression
from helpers.statistics.diagnostics import names
from helpers.statistics.regression import Fit

LEVEL = 0.05


def hanging_on_one_run(fitted: Fit) -> dict[str, list[str]]:
    """Return the terms whose significance at 5 % changes when a single run is left out, with the names of these runs.

    A term that the other runs do not determine hangs on that run, too.
    """
    runs_by_term: dict[str, list[str]] = {}
    for name, row in zip(names(fitted.points), fitted.points.index, strict=True):
        rest = fitted.points.drop(index=row)
        again = regression.p_values(rest) if regression.enough(rest) else {}
        for term, value in fitted.terms.items():
            if term not in again or (again[term] < LEVEL) != (value.p_value < LEVEL):
                runs_by_term.setdefault(term, []).append(name)
    return runs_by_term


def highest_nodes_leverage(points: pd.DataFrame) -> tuple[str, float] | None:
    """Return the run with the highest leverage once nodes are a factor of the regression, and its leverage (0 to 1).

    At a leverage of 1 the run alone decides what a second node costs: no test of that factor can be trusted. None
    without a run on two nodes.
    """
    two_nodes = (points["nodes"] > 1).to_numpy(float)
    if not two_nodes.any():
        return None
    columns = regression.design(points)
    design = np.column_stack([*columns.values(), two_nodes, two_nodes * columns["duration"]])
    leverage = np.einsum("ij,ji->i", design, np.linalg.pinv(design))
    highest = int(leverage.argmax())
    return names(points)[highest], float(leverage[highest])
