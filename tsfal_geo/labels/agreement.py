"""Conflicts between the labels of annotators, and their agreement on queries that several answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.raster.scene import Scene


@dataclass(frozen=True)
class Conflict:
    """Pixels to which two annotators gave different classes; the later label trains.

    Attributes:
        scene: name of the scene.
        authors: annotators of the earlier and of the later label.
        class_ids: class ids of the earlier and of the later label.
        rows: file and row of the earlier and of the later label.
        pixels: number of pixels that both labels contain.
    """

    scene: str
    authors: tuple[str, str]
    class_ids: tuple[int, int]
    rows: tuple[tuple[str, int], tuple[str, int]]
    pixels: int


@dataclass(frozen=True)
class Agreement:
    """Agreement of annotators on queries that several of them answered.

    Attributes:
        queries: number of such queries.
        pixels: number of pixels that two annotators labelled, summed over all pairs of annotators.
        share: share of these pixels with the same class; NaN without pixels.
        kappa: Cohen's kappa over these pixels; NaN where it is not defined.
    """

    queries: int
    pixels: int
    share: float
    kappa: float


def conflicts(labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap) -> list[Conflict]:
    """Find pairs of labels of different annotators and classes that share a pixel.

    Args:
        labels: oldest first.
        scenes: the scenes.
        classes: the class map.

    Returns:
        The conflicts, those of most pixels first.
    """
    found = []
    for scene in scenes:
        own = [label for label in labels if label.scene == scene.name]
        for first, second in _crossing(own):
            shared = int((_shared_pixels(own[first], scene, classes, own[second]) != IGNORE).sum())
            if shared:
                found.append(_conflict(own[first], own[second], shared))
    return sorted(found, key=lambda conflict: (-conflict.pixels, conflict.rows))


def agreement(labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap) -> Agreement:
    """Measure agreement, pixel by pixel, on queries that two annotators or more labelled.

    Args:
        labels: any order.
        scenes: the scenes.
        classes: the class map.
    """
    by_name = {scene.name: scene for scene in scenes}
    answers: dict[str, dict[str, list[Label]]] = {}
    for label in labels:
        if label.qid is not None:
            answers.setdefault(label.qid, {}).setdefault(label.author, []).append(label)
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    several = {qid: by_author for qid, by_author in answers.items() if len(by_author) > 1}
    for by_author in several.values():
        authors = sorted(by_author)
        for position, one in enumerate(authors):
            for other in authors[position + 1 :]:
                matrix += _cross_table(by_author[one], by_author[other], by_name, classes)
    total = int(matrix.sum())
    share = float(np.trace(matrix) / total) if total else float("nan")
    return Agreement(len(several), total, share, _kappa(matrix))


def _crossing(labels: list[Label]) -> list[tuple[int, int]]:
    authors = np.array([label.author for label in labels], dtype=object)
    if len(set(authors.tolist())) < 2:
        return []
    class_ids = np.array([label.class_id for label in labels])
    geometry = np.array([label.geometry for label in labels], dtype=object)
    first, second = shapely.STRtree(geometry).query(geometry, predicate="intersects")
    differ = (first < second) & (authors[first] != authors[second]) & (class_ids[first] != class_ids[second])
    return list(zip(first[differ].tolist(), second[differ].tolist(), strict=True))


def _conflict(earlier: Label, later: Label, pixels: int) -> Conflict:
    return Conflict(
        scene=earlier.scene,
        authors=(earlier.author, later.author),
        class_ids=(earlier.class_id, later.class_id),
        rows=((earlier.file, earlier.fid), (later.file, later.fid)),
        pixels=pixels,
    )


def _shared_pixels(label: Label, scene: Scene, classes: ClassMap, other: Label) -> NDArray[np.uint8]:
    """Class indices of ``label`` on the pixels that both labels contain; 255 elsewhere."""
    window = _window([label, other], scene)
    own = PolygonLabels([label], [scene], classes).read(window)
    others = PolygonLabels([other], [scene], classes).read(window)
    return np.where(others == IGNORE, np.uint8(IGNORE), own)


def _cross_table(
    ones: list[Label], others: list[Label], scenes: dict[str, Scene], classes: ClassMap
) -> NDArray[np.int64]:
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for name in {label.scene for label in ones} & {label.scene for label in others}:
        scene = scenes[name]
        mine = [label for label in ones if label.scene == name]
        theirs = [label for label in others if label.scene == name]
        window = _window([*mine, *theirs], scene)
        first = PolygonLabels(mine, [scene], classes).read(window)
        second = PolygonLabels(theirs, [scene], classes).read(window)
        both = (first != IGNORE) & (second != IGNORE)
        np.add.at(table, (first[both], second[both]), 1)
    return table


def _window(labels: list[Label], scene: Scene) -> Window:
    shapes = to_pixels(np.array([label.geometry for label in labels], dtype=object), scene)
    left, top, right, bottom = shapely.total_bounds(shapes)
    y, x = max(int(top), 0), max(int(left), 0)
    return Window(0, y, x, min(int(bottom) + 1, scene.height) - y, min(int(right) + 1, scene.width) - x)


def _kappa(matrix: NDArray[np.int64]) -> float:
    """Cohen (1960): agreement beyond the agreement by chance that the two class distributions imply."""
    total = matrix.sum()
    if not total:
        return float("nan")
    chance = float(matrix.sum(axis=0) @ matrix.sum(axis=1)) / float(total) ** 2
    return float("nan") if chance == 1 else float((np.trace(matrix) / total - chance) / (1 - chance))
