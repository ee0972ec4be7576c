"""Queries as a list that also is a table of polygons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

from tsfal_geo.labels.model import Query
from tsfal_geo.raster.layer_crs import scene_crs
from tsfal_geo.raster.scene import Scene

if TYPE_CHECKING:
    import geopandas

_COLUMNS = ("qid", "round", "scene", "chip", "rank", "score", "reason", "suggested", "pixels")
_SHOWN = 10


class Queries(list[Query]):
    """Queries by rank.

    Args:
        queries: the queries.
        scenes: the scenes that they lie on, by name.
    """

    def __init__(self, queries: Iterable[Query], scenes: Mapping[str, Scene]) -> None:
        super().__init__(queries)
        self._scenes = scenes

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Return the queries as a table with a polygon each.

        Returns:
            The columns of ``queries.gpkg`` and ``geometry``, in the CRS of the first query's scene; polygons
            on scenes of other CRSs are reprojected to it. Without a CRS, x is the column and y the row.

        Example:
            >>> frame = workspace.queries().to_geodataframe()
            >>> frame.to_file("queries.gpkg")
        """
        import geopandas
        import pandas as pd

        frames = []
        for name in dict.fromkeys(query.scene for query in self):
            own = [query for query in self if query.scene == name]
            values = {column: [getattr(query, column) for query in own] for column in _COLUMNS}
            crs = scene_crs(self._scenes[name])
            frames.append(geopandas.GeoDataFrame(values, geometry=[q.geometry for q in own], crs=crs))
        if not frames:
            return geopandas.GeoDataFrame(dict.fromkeys(_COLUMNS, ()), geometry=[])
        target = frames[0].crs
        same = [f if f.crs is None or f.crs == target else f.to_crs(target) for f in frames]
        return geopandas.GeoDataFrame(pd.concat(same, ignore_index=True), crs=target).sort_values(
            "rank", ignore_index=True
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("rank", "qid", "scene", "pixels", "reason"))
        rows = "".join(
            f"<tr><td>{q.rank}</td><td>{escape(q.qid)}</td><td>{escape(q.scene)}</td>"
            f"<td>{q.pixels}</td><td>{escape(q.reason)}</td></tr>"
            for q in self[:_SHOWN]
        )
        more = f"<p>and {len(self) - _SHOWN} more</p>" if len(self) > _SHOWN else ""
        return f"<table><tr>{head}</tr>{rows}</table>{more}"
