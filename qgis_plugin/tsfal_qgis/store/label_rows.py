"""Rows of labels and decisions: new ones, filters that find them, and the statuses that they give queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qgis.core import QgsFeatureRequest, QgsGeometry, QgsVectorLayer
from qgis.PyQt.QtCore import QDateTime

from ..compat import create_feature
from .history import Row
from .queries import DONE, Query
from .workspace import ClassInfo, Scene

REGION_SOURCES = ("filled", "accepted")  # sources of labels that cover a query's entire region


@dataclass(frozen=True)
class LabelContext:
    """The part of a workspace that labels are checked against.

    Attributes:
        classes: the class map.
        scenes: the training scenes.
        round: the round in which labels are made.
    """

    classes: tuple[ClassInfo, ...]
    scenes: tuple[Scene, ...]
    round: int


def new_row(layer: QgsVectorLayer, geometry: QgsGeometry, values: dict[str, Any]) -> Row:
    """Make a row with the layer's default values.

    Args:
        layer: the layer that the row is for.
        geometry: its geometry; an empty one for a table.
        values: field → value; fields that the layer lacks are left out, None stands for the default.

    Returns:
        The row, which is not in the layer yet.
    """
    fields = layer.fields()
    indexed = {fields.indexOf(name): value for name, value in values.items() if value is not None}
    indexed.pop(-1, None)
    return Row(layer, create_feature(layer, geometry, indexed))


def field_is(name: str, value: object) -> str:
    """Write the expression that compares a field with a value.

    Args:
        name: the field.
        value: a text, which is quoted, or a number.

    Returns:
        A QGIS expression.
    """
    text = str(value).replace("'", "''") if isinstance(value, str) else value
    return f"\"{name}\" = '{text}'" if isinstance(value, str) else f'"{name}" = {text}'


def author_labels(query: Query, author: str) -> str:
    """Write the expression for an author's labels on a query.

    Args:
        query: the query.
        author: the author.

    Returns:
        A QGIS expression.
    """
    return f"{field_is('qid', query.qid)} AND {field_is('author', author)}"


def author_region_labels(query: Query, author: str) -> str:
    """Write the expression for an author's labels that cover a query's entire region.

    Args:
        query: the query.
        author: the author.

    Returns:
        A QGIS expression.
    """
    sources = ", ".join(f"'{source}'" for source in REGION_SOURCES)
    return f'{author_labels(query, author)} AND "source" IN ({sources})'


def drawn_labels(author: str) -> str:
    """Write the expression for an author's labels that are no fill of a query.

    Args:
        author: the author.

    Returns:
        A QGIS expression.
    """
    sources = ", ".join(f"'{source}'" for source in REGION_SOURCES)
    drawn = f'"source" IS NULL OR "source" NOT IN ({sources}) OR "qid" IS NULL'
    return f"{field_is('author', author)} AND ({drawn})"


def labels_on_scene(name: object) -> str:
    """Write the expression for labels that lie on a scene, or may.

    Args:
        name: of the scene; anything but a text where it is not known.

    Returns:
        A QGIS expression.
    """
    return f'("scene" IS NULL OR {field_is("scene", name)})' if isinstance(name, str) else "TRUE"


def author_decisions(query: Query, author: str) -> str:
    """Write the expression for an author's decisions on a query.

    Args:
        query: the query.
        author: the author.

    Returns:
        A QGIS expression.
    """
    return f"{author_labels(query, author)} AND {field_is('round', query.round)}"


def read_statuses(labels: Iterable[QgsVectorLayer], decisions: Iterable[QgsVectorLayer]) -> dict[str, str]:
    """Read the statuses of queries from label layers and tables of decisions.

    Args:
        labels: layers of labels.
        decisions: tables of decisions.

    Returns:
        qid → status: that of the latest decision, or done for a query with labels and no decision.
    """
    statuses: dict[str, str] = {}
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    for layer in labels:
        if "qid" in layer.fields().names():
            features = layer.getFeatures(request)
            statuses.update((str(each["qid"]), DONE) for each in features if isinstance(each["qid"], str))
    latest: dict[str, tuple[str, str]] = {}
    for layer in decisions:
        if {"qid", "status", "created"} <= set(layer.fields().names()):
            for each in layer.getFeatures(request):
                qid, decision = str(each["qid"]), (_utc(each["created"]), str(each["status"]))
                latest[qid] = max(latest.get(qid, decision), decision)
    return {**statuses, **{qid: status for qid, (_, status) in latest.items()}}


def _utc(time: object) -> str:
    """Write a time so that texts sort as the times do; a time that is missing comes first."""
    return time.toUTC().toString("yyyy-MM-ddTHH:mm:ss.zzz") if isinstance(time, QDateTime) else ""
