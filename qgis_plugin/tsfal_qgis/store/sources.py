"""Opens what is asked and what is labelled: the GeoPackages of a workspace, or a team's PostGIS tables.

Styles and forms inside the files are never loaded: nothing that a file brings is executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDataSourceUri,
    QgsProviderRegistry,
    QgsVectorLayer,
    QgsWkbTypes,
)

from .labels import Frame, LabelStore
from .shapes import scene_crs
from .workspace import Workspace, WorkspaceProblem

SCHEMA = "tsfal"


@dataclass(frozen=True)
class Source:
    """Where a layer is: the provider, its URI and the layer's name."""

    provider: str
    uri: str
    name: str

    def open(self) -> QgsVectorLayer:
        """The layer, without the style and form that the source brings.

        Raises:
            WorkspaceProblem: it cannot be opened.
        """
        options = QgsVectorLayer.LayerOptions()
        options.loadDefaultStyle = False
        layer = QgsVectorLayer(self.uri, self.name, self.provider, options)
        if not layer.isValid():
            raise WorkspaceProblem(
                f"{self.name} cannot be opened: {_shown(self.uri)}. Is it there, and whole?"
            )
        return layer


def geopackage(path: Path, base: str) -> list[Source]:
    """The layers called ``base`` or ``base_…`` in a GeoPackage, in the file's order."""
    found = QgsProviderRegistry.instance().querySublayers(str(path))
    names = [item.name() for item in found]
    chosen = [name for name in names if name == base or name.startswith(f"{base}_")]
    return [Source("ogr", f"{path}|layername={name}", name) for name in chosen]


def open_layers(sources: Sequence[Source], workspace: Workspace) -> list[QgsVectorLayer]:
    """Layers with the CRSs of the scenes.

    Raises:
        WorkspaceProblem: one cannot be opened.
    """
    layers = [source.open() for source in sources]
    for layer in layers:
        settle_crs(layer, workspace)
    return layers


def settle_crs(layer: QgsVectorLayer, workspace: Workspace) -> None:
    """Take the CRS from a layer of scenes that have none: QGIS makes one up for it."""
    systems = [scene_crs(scene) for scene in workspace.scenes]
    bare = any(not crs.isValid() for crs in systems)
    if bare and not any(crs.isValid() and crs == layer.crs() for crs in systems):
        layer.setCrs(QgsCoordinateReferenceSystem())


def query_sources(workspace: Workspace, number: int) -> list[Source]:
    """The layers of a round's queries; none where nothing was asked."""
    if workspace.store:
        return _tables(workspace, "queries", f'"round" = {number}')
    path = workspace.queries(number)
    return geopackage(path, "queries") if number >= 0 and path.is_file() else []


def open_store(workspace: Workspace, author: str, path: Path | None) -> LabelStore:
    """The layers that an author writes.

    Args:
        workspace: the workspace.
        author: who labels.
        path: the author's GeoPackage; not needed with PostGIS.

    Raises:
        WorkspaceProblem: they cannot be opened.
    """
    frame = Frame(workspace.classes, workspace.scenes, max(workspace.round, 0))
    if workspace.store:
        labels = [source.open() for source in _tables(workspace, "labels")]
        return LabelStore(labels, _table(workspace, "decisions").open(), author, frame)
    if path is None:
        raise WorkspaceProblem(f"{workspace.root}: there is no label file for {author}.")
    labels = open_layers(geopackage(path, "labels"), workspace)
    if not labels:
        raise WorkspaceProblem(f"{path} has no layer 'labels'. Move it away, and a new one is made.")
    return LabelStore(labels, Source("ogr", f"{path}|layername=decisions", "decisions").open(), author, frame)


def _tables(workspace: Workspace, table: str, sql: str = "") -> list[Source]:
    """One layer for each CRS of the scenes; one table holds them all."""
    systems: list[QgsCoordinateReferenceSystem] = []
    for scene in workspace.scenes:
        crs = scene_crs(scene)
        if crs not in systems:
            systems.append(crs)
    alone = len(systems) == 1
    sources = []
    for crs in systems:
        srid = crs.postgisSrid() if crs.isValid() else 0
        only = [sql, "" if alone else f'ST_SRID("geom") = {srid}']
        sources.append(_table(workspace, table, " AND ".join(filter(None, only)), srid))
    return sources


def _table(workspace: Workspace, table: str, sql: str = "", srid: int | None = None) -> Source:
    parts = urlsplit(workspace.store or "")
    parameters = dict(parse_qsl(parts.query))
    uri = QgsDataSourceUri()
    uri.setConnection(
        unquote(parts.hostname or "") or parameters.get("host", ""),
        str(parts.port or parameters.get("port", "")),
        unquote(parts.path.lstrip("/")),
        unquote(parts.username or parameters.get("user", "")),
        "",
    )
    geometry = "geom" if srid is not None else ""
    key = "qid" if table == "queries" else "id"
    uri.setDataSource(parameters.get("schema", SCHEMA), table, geometry, sql, key)
    if srid is not None:
        uri.setSrid(str(srid))
        uri.setWkbType(QgsWkbTypes.Type.MultiPolygon)
    return Source("postgres", uri.uri(False), table)


def _shown(uri: str) -> str:
    return uri.split("|")[0]
