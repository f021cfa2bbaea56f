"""Where the public repository is: known only where the book is published, and then the book leads to it."""

from typing import Any
from urllib.parse import urlsplit

import yaml

from helpers.core.errors import UserError
from helpers.figures.html import REPOSITORY_VARIABLE

BRANCH = "main"
BINDER = "https://mybinder.org"


def with_repository(config: str, address: str | None) -> str:
    """Return the book's configuration with links to the repository, and to Binder; without an address as it is.

    Args:
        config: text of `_config.yml`.
        address: of the repository, or None.

    Raises:
        UserError: one line where the address is none of a repository on the web.
    """
    if not address:
        return config
    parts = urlsplit(address)
    if parts.scheme != "https" or len(parts.path.strip("/").split("/")) != 2:
        raise UserError(
            f"{REPOSITORY_VARIABLE}={address}: expected an address like https://github.com/OWNER/NAME"
        )
    settings: dict[str, Any] = yaml.safe_load(config)
    settings["repository"] = {"url": address.rstrip("/"), "branch": BRANCH}
    settings["launch_buttons"] = {"binderhub_url": BINDER, "notebook_interface": "jupyterlab"}
    settings["html"]["use_repository_button"] = True
    settings["sphinx"]["config"]["html_theme_options"] |= {"use_source_button": True}
    return yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
