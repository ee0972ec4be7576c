"""What the loop is asked for, and how it talks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tsfal_geo.config import Config
from tsfal_geo.labels.history import difference, read_taken
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.rounds.inputs import Inputs
from tsfal_geo.workspace.workspace import Workspace

if TYPE_CHECKING:
    from tsfal_geo.reporting import Reporter


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


@dataclass(frozen=True)
class Context:
    """A workspace at work: what every step of a round needs.

    ``rasterised`` holds people's labels as the last round of this process rasterised them, if there was one.
    """

    workspace: Workspace
    inputs: Inputs
    store: LabelStore
    config: Config
    reporter: Reporter
    rasterised: list[PolygonLabels] = field(default_factory=list)

    def news(self) -> bool:
        """Whether there is reason to train: other labels than the last training's, or nothing to wait for."""
        workspace = self.workspace
        if workspace.state.status == "waiting" and not self.store.read_queries(workspace.current_round):
            return True
        before = read_taken(self.store, self._last_training())
        now = self.store.snapshot()
        change = difference(before, now)
        if change.added or change.removed:
            return True
        new_decisions = {item.key for item in now.decisions} - {item.key for item in before.decisions}
        return bool(new_decisions) and not self.store.open_queries(workspace.current_round)

    def _last_training(self) -> int:
        """The last round that trained; what later ones took in, nobody has learnt. Without one the last."""
        current = self.workspace.current_round
        trained = (n for n in range(current, -1, -1) if "steps" in self.workspace.metrics(n))
        return next(trained, current)

    def query_prefix(self, number: int) -> str:
        """How the names of a round's queries begin: labels from before a ``--fresh`` answer none of them."""
        begun_anew = len(list((self.workspace.root / "archive").glob("*")))
        return f"{begun_anew}.{number:03d}-" if begun_anew else f"{number:03d}-"
