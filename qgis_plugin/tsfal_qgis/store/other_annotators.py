"""What other people and tools labelled: shown, counted, never written."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsVectorLayer
from qgis.PyQt import sip

from .labels import read_statuses
from .sources import Source, geopackage, open_layers
from .workspace import Workspace, WorkspaceProblem


class Others:
    """Everybody else's label files in a workspace's folder ``labels/``.

    Attributes:
        statuses: what became of queries by their hands.
    """

    def __init__(self, workspace: Workspace, own: Path | None) -> None:
        self.statuses: dict[str, str] = {}
        self._workspace = workspace
        self._own = own
        self._stamps: dict[Path, tuple[int, ...]] = {}
        self._layers: dict[Path, list[QgsVectorLayer]] = {}
        self._decisions: dict[Path, list[QgsVectorLayer]] = {}

    def refresh(self) -> tuple[bool, list[QgsVectorLayer]]:
        """Look whether anything changed.

        Returns:
            Whether something did, and layers (of labels and decisions) that were not there before.
        """
        if self._workspace.store:
            return False, []
        files = [path for path in self._workspace.label_files() if self._own is None or path != self._own]
        stamps = {path: _stamp(path) for path in files}
        fresh = [path for path in files if stamps[path] != self._stamps.get(path)]
        if not fresh:
            return False, []
        self._stamps = stamps
        new = []
        for path in fresh:
            if path in self._layers:
                self._layers[path] = [layer for layer in self._layers[path] if not sip.isdeleted(layer)]
                for layer in self._layers[path]:
                    layer.dataProvider().reloadData()
                    layer.triggerRepaint()
            else:
                new += self._open(path)
        labels = [layer for layers in self._layers.values() for layer in layers if not sip.isdeleted(layer)]
        tables = self._decisions.values()
        decisions = [layer for layers in tables for layer in layers if not sip.isdeleted(layer)]
        self.statuses = read_statuses(labels, decisions)
        return True, new

    def _open(self, path: Path) -> list[QgsVectorLayer]:
        try:
            layers = open_layers(geopackage(path, "labels"), self._workspace)
        except WorkspaceProblem:
            layers = []  # the engine says what is wrong with it when it reads the labels
        for layer in layers:
            layer.setName(path.stem if len(layers) == 1 else f"{path.stem} {layer.crs().authid()}")
            layer.setReadOnly(True)
        self._layers[path] = layers
        try:
            decisions = [Source("ogr", f"{path}|layername=decisions", f"{path.stem} decisions").open()]
        except WorkspaceProblem:
            decisions = []
        self._decisions[path] = decisions
        return [*layers, *decisions]


def _stamp(path: Path) -> tuple[int, ...]:
    # What a QGIS has saved but not yet folded in is in the log beside the file.
    times = []
    for each in (path, path.with_name(path.name + "-wal")):
        try:
            found = each.stat()
            times += [found.st_mtime_ns, found.st_size]
        except OSError:
            times += [0, 0]
    return tuple(times)
