"""The ledger's entry for a statement that a figure's note is about, so that both say the same of it."""

from helpers.claims import ledger
from helpers.claims.catalogue import project_claims
from helpers.claims.ledger import Assessment
from helpers.results.tables import Tables


def assessed(tables: Tables, name: str) -> Assessment:
    """Return what the published values give for the claim with this id.

    Raises:
        KeyError: the ledger has no such claim.
    """
    matches = [claim for claim in project_claims() if claim.id == name]
    if not matches:
        raise KeyError(f"data/study/claims.yaml has no {name}")
    return ledger.evaluate(tables, claims=matches)[0]
