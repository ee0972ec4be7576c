"""The sources of queries, labels and decisions: GeoPackages of a workspace, or PostGIS tables.

Styles and forms inside the files are never loaded, because QGIS would execute parts of them.
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

from .label_rows import LabelContext
from .labels import LabelStore
from .shapes import scene_crs
from .workspace import Workspace, WorkspaceProblem

SCHEMA = "tsfal"


@dataclass(frozen=True)
class LayerSource:
    """The source of a layer.

    Attributes:
        provider: key of QGIS's provider, ``ogr`` or ``postgres``.
        uri: the provider's URI.
        name: name of the layer.
    """

    provider: str
    uri: str
    name: str

    def open(self) -> QgsVectorLayer:
        """Open the layer without the style and form that the source contains.

        Returns:
            The layer, which is in no project yet.

        Raises:
            WorkspaceProblem: the layer cannot be opened.
        """
        options = QgsVectorLayer.LayerOptions()
        options.loadDefaultStyle = False
        layer = QgsVectorLayer(self.uri, self.name, self.provider, options)
        if not layer.isValid():
            file = self.uri.split("|")[0]
            raise WorkspaceProblem(
                f"{self.name} cannot be opened: {file}. Does it exist, and is it complete?"
            )
        return layer


def geopackage_layers(path: Path, base: str) -> list[LayerSource]:
    """List the layers called ``base`` or ``base_…`` in a GeoPackage.

    Args:
        path: the GeoPackage.
        base: ``labels`` or ``queries``.

    Returns:
        The sources, in the file's order.
    """
    found = QgsProviderRegistry.instance().querySublayers(str(path))
    names = [item.name() for item in found]
    chosen = [name for name in names if name == base or name.startswith(f"{base}_")]
    return [LayerSource("ogr", f"{path}|layername={name}", name) for name in chosen]


def geopackage_decisions(path: Path, name: str = "decisions") -> LayerSource:
    """Return the source of the table of decisions in a label file.

    Args:
        path: the label file.
        name: name of the layer in QGIS.

    Returns:
        The source.
    """
    return LayerSource("ogr", f"{path}|layername=decisions", name)


def open_layers(sources: Sequence[LayerSource], workspace: Workspace) -> list[QgsVectorLayer]:
    """Open layers and correct their CRSs.

    Args:
        sources: the sources.
        workspace: the workspace, whose scenes have the CRSs that the layers should have.

    Returns:
        The layers.

    Raises:
        WorkspaceProblem: a layer cannot be opened.
    """
    layers = [source.open() for source in sources]
    for layer in layers:
        clear_invented_crs(layer, workspace)
    return layers


def clear_invented_crs(layer: QgsVectorLayer, workspace: Workspace) -> None:
    """Remove the CRS of a layer whose scenes have none; QGIS assigns such a layer a default.

    Args:
        layer: a layer of labels or queries.
        workspace: the workspace, with the scenes.
    """
    systems = [scene_crs(scene) for scene in workspace.scenes]
    some_without = any(not crs.isValid() for crs in systems)
    if some_without and not any(crs.isValid() and crs == layer.crs() for crs in systems):
        layer.setCrs(QgsCoordinateReferenceSystem())


def query_sources(workspace: Workspace, number: int) -> list[LayerSource]:
    """List the layers of a round's queries.

    Args:
        workspace: the workspace.
        number: number of the round; -1 before the first.

    Returns:
        The sources; empty if the round has no queries.
    """
    if workspace.store:
        return _tables(workspace, "queries", f'"round" = {number}')
    path = workspace.queries(number)
    return geopackage_layers(path, "queries") if number >= 0 and path.is_file() else []


def open_store(workspace: Workspace, author: str, path: Path | None) -> LabelStore:
    """Open the layers that an author writes.

    Args:
        workspace: the workspace.
        author: name under which labels are stored.
        path: the author's GeoPackage; not needed with PostGIS.

    Returns:
        The store.

    Raises:
        WorkspaceProblem: a layer cannot be opened.
    """
    context = LabelContext(workspace.classes, workspace.scenes, max(workspace.round, 0))
    if workspace.store:
        labels = [source.open() for source in _tables(workspace, "labels")]
        return LabelStore(labels, _table(workspace, "decisions").open(), author, context)
    if path is None:
        raise WorkspaceProblem(f"{workspace.root}: there is no label file for {author}.")
    labels = open_layers(geopackage_layers(path, "labels"), workspace)
    if not labels:
        raise WorkspaceProblem(f"{path} has no layer 'labels'. Move it away, and a new one is made.")
    return LabelStore(labels, geopackage_decisions(path).open(), author, context)


def _tables(workspace: Workspace, table: str, sql: str = "") -> list[LayerSource]:
    """Split one table into a layer for each CRS of the scenes."""
    systems: list[QgsCoordinateReferenceSystem] = []
    for scene in workspace.scenes:
        crs = scene_crs(scene)
        if crs not in systems:
            systems.append(crs)
    sources = []
    for crs in systems:
        srid = crs.postgisSrid() if crs.isValid() else 0
        conditions = [sql, "" if len(systems) == 1 else f'ST_SRID("geom") = {srid}']
        sources.append(_table(workspace, table, " AND ".join(filter(None, conditions)), srid))
    return sources


def _table(workspace: Workspace, table: str, sql: str = "", srid: int | None = None) -> LayerSource:
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
    return LayerSource("postgres", uri.uri(False), table)
