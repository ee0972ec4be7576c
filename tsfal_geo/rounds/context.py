"""The request for a workspace, and the workspace at work: what each step of a round needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tsfal_geo.config import Config
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.inputs import Inputs
from tsfal_geo.rounds.validation import ValidationSet
from tsfal_geo.workspace.folder import WorkspaceFolder


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


@dataclass(frozen=True)
class RoundContext:
    """A workspace at work; each command opens one and carries it through its rounds.

    Attributes:
        workspace: the folder.
        inputs: the training scenes, opened.
        validation: the validation scenes, opened; None without them.
        store: the label store.
        config: the whole configuration.
        reporter: takes what the rounds tell.
    """

    workspace: WorkspaceFolder
    inputs: Inputs
    validation: ValidationSet | None
    store: LabelStore
    config: Config
    reporter: Reporter
