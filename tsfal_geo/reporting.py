"""What the commands that go through a folder of scenes share."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tsfal_geo.raster.scene import Scene


def find_scenes(folder: Path, reporter: Reporter) -> list[Scene]:
    """The scenes of a folder; files that are not used are told as warnings.

    Raises:
        RasterError: as `tsfal_geo.raster.discovery.discover`.
    """
    from tsfal_geo.raster.discovery import RasterWarning, discover

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RasterWarning)
        scenes = discover(folder)
    for warning in caught:
        reporter.warning(str(warning.message))
    return scenes


def scene_progress(
    reporter: Reporter, verb: str, name: str, index: int, count: int
) -> Callable[[float], None]:
    """A callback that turns a scene's share into the command's, and stops the command when asked to.

    Args:
        reporter: told of the progress.
        verb: what is done with the scene.
        name: the scene's.
        index: scenes done before.
        count: scenes in all.

    Returns:
        Takes the scene's share; raises `Cancelled` once the reporter's ``stop`` is set.
    """

    def progress(share: float) -> None:
        reporter.progress((index + share) / count, f"{verb} {name}")

    return progress


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
