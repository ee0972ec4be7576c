"""The labels of other annotators and tools in a workspace: shown and counted, never written."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsVectorLayer
from qgis.PyQt import sip

from .label_rows import read_statuses
from .sources import geopackage_decisions, geopackage_layers, open_layers
from .workspace import Workspace, WorkspaceProblem


class OtherAnnotators:
    """The label files in a workspace's folder ``labels/`` that are not the author's own.

    Args:
        workspace: the workspace.
        own: the author's own label file, which is left out; None with PostGIS.

    Attributes:
        statuses: qid → status, from the labels and decisions in these files.
    """

    def __init__(self, workspace: Workspace, own: Path | None) -> None:
        self.statuses: dict[str, str] = {}
        self._workspace = workspace
        self._own = own
        self._versions: dict[Path, tuple[int, ...]] = {}
        self._labels: dict[Path, list[QgsVectorLayer]] = {}
        self._decisions: dict[Path, list[QgsVectorLayer]] = {}

    def refresh(self) -> tuple[bool, list[QgsVectorLayer]]:
        """Read the files that changed since the last call.

        Returns:
            True if a file changed, and the layers (of labels and decisions) of files that are new.
        """
        if self._workspace.store:
            return False, []
        files = [path for path in self._workspace.label_files() if self._own is None or path != self._own]
        versions = {path: _version(path) for path in files}
        changed = [path for path in files if versions[path] != self._versions.get(path)]
        if not changed:
            return False, []
        self._versions = versions
        new = []
        for path in changed:
            if path in self._labels:
                self._reload(path)
            else:
                new += self._open(path)
        self.statuses = read_statuses(_existing(self._labels), _existing(self._decisions))
        return True, new

    def _reload(self, path: Path) -> None:
        self._labels[path] = [layer for layer in self._labels[path] if not sip.isdeleted(layer)]
        for layer in self._labels[path]:
            layer.dataProvider().reloadData()
            layer.triggerRepaint()

    def _open(self, path: Path) -> list[QgsVectorLayer]:
        try:
            labels = open_layers(geopackage_layers(path, "labels"), self._workspace)
        except WorkspaceProblem:
            labels = []  # the engine reports the fault when it reads the labels
        for layer in labels:
            layer.setName(path.stem if len(labels) == 1 else f"{path.stem} {layer.crs().authid()}")
            layer.setReadOnly(True)
        try:
            decisions = [geopackage_decisions(path, f"{path.stem} decisions").open()]
        except WorkspaceProblem:
            decisions = []
        self._labels[path], self._decisions[path] = labels, decisions
        return [*labels, *decisions]


def _existing(layers: dict[Path, list[QgsVectorLayer]]) -> list[QgsVectorLayer]:
    """Leave out layers that the user removed from the project."""
    return [layer for each in layers.values() for layer in each if not sip.isdeleted(layer)]


def _version(path: Path) -> tuple[int, ...]:
    # Rows that another QGIS has saved but SQLite has not merged yet are in the log beside the file.
    times = []
    for each in (path, path.with_name(path.name + "-wal")):
        try:
            found = each.stat()
            times += [found.st_mtime_ns, found.st_size]
        except OSError:
            times += [0, 0]
    return tuple(times)
