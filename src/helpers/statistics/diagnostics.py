"""What the paper's regression of energy on duration (section 4.2, Table 3) does not say about itself."""

import pandas as pd
import statsmodels.formula.api as smf

from helpers.statistics import regression
from helpers.statistics.regression import Fit
from helpers.study.catalogue import model_title


def influence(fitted: Fit) -> pd.DataFrame:
    """Return per point: fitted_wh, residual_wh, leverage, studentised residual, Cook's distance, and a name."""
    model = smf.ols(regression.formula(fitted.points), fitted.points).fit()
    measures = model.get_influence()
    return fitted.points.assign(
        name=names(fitted.points),
        fitted_wh=model.fittedvalues,
        residual_wh=model.resid,
        leverage=measures.hat_matrix_diag,
        studentised_residual=measures.resid_studentized_external,
        cooks_distance=measures.cooks_distance[0],
    )


def names(points: pd.DataFrame) -> list[str]:
    """Return what a point is called: model, GPUs, nodes where there are two, dataset where there are several."""
    several = points["dataset"].nunique() > 1
    return [
        f"{model_title(model)}, {gpus} GPU{'s' if gpus != 1 else ''}"
        + (f", {nodes} nodes" if nodes > 1 else "")
        + (f", {dataset}" if several else "")
        for model, gpus, nodes, dataset in points[["model", "gpus", "nodes", "dataset"]].itertuples(
            index=False
        )
    ]


def without_most_influential(fitted: Fit) -> tuple[str, Fit | None]:
    """Return the name of the point with the largest Cook's distance, and the fit without it, where there is one."""
    points = influence(fitted).sort_values("cooks_distance")
    rest = points.iloc[:-1].sort_index()
    return str(points["name"].iloc[-1]), regression.fit(rest) if regression.enough(rest) else None


def negative_below_s(terms: dict[str, float], gpus: int) -> float | None:
    """Return the duration below which a + b G + (c + d G) T, in our names, gives a negative energy.

    `terms` are estimates by name (`duration`, `gpus`, `duration:gpus`, `constant`; absent ones count as 0).
    None where no positive duration gives a negative energy.
    """
    slope = terms.get("duration", 0.0) + terms.get("duration:gpus", 0.0) * gpus
    level = terms.get("constant", 0.0) + terms.get("gpus", 0.0) * gpus
    return -level / slope if level < 0 < slope else None


def estimates(fitted: Fit | regression.PrintedFit) -> dict[str, float]:
    """Return the coefficients of a fit by name."""
    return {name: term.estimate for name, term in fitted.terms.items()}
