"""The label that answers a query."""

from __future__ import annotations

from shapely import MultiPolygon, Polygon

from tsfal_geo.labels.model import Label, Query


def answer(query: Query, author: str, class_id: int, geometry: Polygon | MultiPolygon | None) -> Label:
    """Make the label that answers a query.

    Args:
        query: the query.
        author: who answers.
        class_id: class id.
        geometry: polygon of this class in the scene's CRS; None: the query's own.

    Returns:
        The label, with its time of creation.
    """
    return Label(
        scene=query.scene,
        class_id=class_id,
        geometry=query.geometry if geometry is None else geometry,
        qid=query.qid,
        round=query.round,
        author=author,
        source="filled" if geometry is None else "drawn",
    )
