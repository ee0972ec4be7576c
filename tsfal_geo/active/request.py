"""What the loop is asked for, and how it talks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tsfal_geo.config import Config


class Reporter(Protocol):
    """How the loop talks; ``cli.options.Reporter`` is one."""

    stop: threading.Event

    def event(self, event: dict[str, Any]) -> None: ...  # noqa: D102
    def progress(self, fraction: float, stage: str) -> None: ...  # noqa: D102
    def say(self, text: str) -> None: ...  # noqa: D102
    def warning(self, text: str) -> None: ...  # noqa: D102
    def artefact(self, kind: str, path: Path) -> None: ...  # noqa: D102
    def result(self, values: dict[str, Any]) -> None: ...  # noqa: D102
    def log_to(self, runs: Path) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Request:
    """What ``tsfal-geo train`` was asked for.

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
