"""Where the page of a run stands in the book."""

from pathlib import PurePosixPath

from helpers.core import paths
from helpers.records.storage import RECORD

FOLDER = "runs"


def page_of(record_path: str) -> str:
    """Return the page of a run as seen from the root of the book: `runs/CAMPAIGN/RUN.html`.

    A live run of a campaign that has committed runs stands under `runs/CAMPAIGN-live/`.

    Args:
        record_path: the record as seen from the root of the project, as `origin` in the results tables.

    Raises:
        ValueError: the path is not that of a record.
    """
    parts = PurePosixPath(record_path).parts
    if len(parts) < 3 or parts[-1] != RECORD:
        raise ValueError(f"{record_path} is no path of a record")
    campaign, run = parts[-3:-1]
    live = not record_path.startswith(f"{paths.relative(paths.MEASUREMENTS)}/")
    if live and any((paths.MEASUREMENTS / campaign).glob(f"*/{RECORD}")):
        campaign = f"{campaign}-live"
    return f"{FOLDER}/{campaign}/{run}.html"
