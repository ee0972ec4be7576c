"""Reporters: the protocol by which the engine tells what it does, and the reporter that tells nobody."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tsfal_geo.raster.discovery import RasterWarning, discover
from tsfal_geo.raster.scene import Scene


class Reporter(Protocol):
    """Takes what the engine tells.

    Attributes:
        stop: set by whoever wants the engine to stop; trainings look at it between two steps.
    """

    stop: threading.Event

    def event(self, event: dict[str, Any]) -> None:
        """Take an event of a training, such as ``{"event": "progress", "fraction": 0.5, "stage": …}``."""

    def progress(self, fraction: float, stage: str) -> None:
        """Take how much of a stage is done, 0 to 1.

        Raises:
            Cancelled: the reporter was asked to stop.
        """

    def say(self, text: str) -> None:
        """Take a line for people."""

    def warning(self, text: str) -> None:
        """Take a line that a person should look at, though the engine goes on."""

    def artefact(self, kind: str, path: Path) -> None:
        """Take a file that is complete."""

    def log_to(self, runs: Path) -> None:
        """Keep a log of all events in a folder of its own below ``runs``."""


class SilentReporter:
    """A reporter that drops everything; the default of the Python library.

    Args:
        stop: an event that other threads or processes set; None: a new one.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()

    def event(self, event: dict[str, Any]) -> None:
        """Drop an event."""

    def progress(self, fraction: float, stage: str) -> None:
        """Drop a progress."""

    def say(self, text: str) -> None:
        """Drop a line."""

    def warning(self, text: str) -> None:
        """Drop a warning."""

    def artefact(self, kind: str, path: Path) -> None:
        """Drop a file's name."""

    def log_to(self, runs: Path) -> None:
        """Keep no log."""


def find_scenes(folder: Path, reporter: Reporter, crs: str | None = None) -> list[Scene]:
    """Discover the scenes of a folder; the reporter gets the files that are not used, as warnings.

    Args:
        folder: holds orthophotos, in it or in ``images/``.
        reporter: takes the warnings.
        crs: CRS of orthophotos that have a place but declare no CRS.

    Returns:
        The scenes, by name.

    Raises:
        RasterError: as `tsfal_geo.raster.discovery.discover`.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RasterWarning)
        scenes = discover(folder, crs=crs)
    for warning in caught:
        reporter.warning(str(warning.message))
    return scenes


def scene_progress(
    reporter: Reporter, verb: str, name: str, index: int, count: int
) -> Callable[[float], None]:
    """Turn the share of a scene that is done into the share of a command.

    Args:
        reporter: takes the progress.
        verb: names the command's work on the scene.
        name: the scene's.
        index: number of scenes done before.
        count: number of all scenes.

    Returns:
        A callback that takes the scene's share, 0 to 1; it raises `Cancelled` once the reporter's ``stop`` is
        set.
    """

    def progress(share: float) -> None:
        reporter.progress((index + share) / count, f"{verb} {name}")

    return progress


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Set an event on the first SIGINT or SIGTERM; the second one interrupts at once.

    Args:
        stop: what the engine looks at between two steps. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
