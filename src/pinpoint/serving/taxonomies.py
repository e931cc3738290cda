"""The taxonomies that a worker was given: read once, at the start, each deployed or refused in words."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pinpoint.api.deployed import Deployed
from pinpoint.api.taxonomy_files import SHIPPED, load_folders
from pinpoint.errors import RequestError
from pinpoint.serving.watch.log_words import printable

log = logging.getLogger("pinpoint")


def load_taxonomies(folder: str) -> Deployed:
    """Those of a folder, where one is named, and those that come with the package; what is damaged is refused alone.

    A folder that cannot be read deploys nothing and ends nothing: jobs that bring their labels are served.
    """
    try:
        deployed = load_folders(SHIPPED, *([Path(folder)] if folder else []))
    except RequestError as error:
        log.error("taxonomies: %s", printable(error.wire()))
        deployed = load_folders(SHIPPED)
    for name, why in deployed.refused.items():
        log.error("taxonomy=%s refused: %s", printable(name), printable(why.wire()))
    if folder:
        log.info("taxonomies: deployed=%s", ",".join(printable(name) for name in sorted(deployed.taxonomies)))
    return deployed


def told(deployed: Deployed) -> dict[str, Any]:
    """Plain values for health: the names, and why files were refused."""
    return {
        "deployed": sorted(deployed.taxonomies),
        "refused": {printable(name): error.wire() for name, error in deployed.refused.items()},
    }
