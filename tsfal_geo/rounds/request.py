"""The request for a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tsfal_geo.config import Config


@dataclass(frozen=True)
class Request:
    """A workspace to be made, or to go on with.

    Attributes:
        root: the workspace's folder.
        raster_dir: folder of training scenes.
        val_dir: folder of validation scenes.
        config: the whole configuration.
        store: URL of the label store; None: GeoPackages, or what the workspace already uses.
        fresh: start over; earlier rounds go to ``archive/``.
    """

    root: Path
    raster_dir: Path
    val_dir: Path | None
    config: Config
    store: str | None = None
    fresh: bool = False
