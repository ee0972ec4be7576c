"""Where people differ: conflicts between their labels, agreement on queries that two of them answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.raster.scene import Scene


@dataclass(frozen=True)
class Conflict:
    """Pixels to which two people gave different classes; the later label trains.

    Attributes:
        scene: name of the scene.
        authors: of the earlier and of the later label.
        class_ids: of the earlier and of the later label.
        rows: file and row of each.
        pixels: how many.
    """

    scene: str
    authors: tuple[str, str]
    class_ids: tuple[int, int]
    rows: tuple[tuple[str, int], tuple[str, int]]
    pixels: int


@dataclass(frozen=True)
class Agreement:
    """How far people agree where several answered the same query.

    Attributes:
        queries: number of such queries.
        pixels: pixels that two of them labelled, each pair of people counted.
        share: share of those with the same class; NaN without any.
        kappa: Cohen's kappa over them; NaN where it is not defined.
    """

    queries: int
    pixels: int
    share: float
    kappa: float


def conflicts(labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap) -> list[Conflict]:
    """Pairs of labels of different authors and classes that hold a pixel in common, largest first.

    Args:
        labels: oldest first.
        scenes: the scenes.
        classes: the class map.
    """
    found = []
    for scene in scenes:
        own = [label for label in labels if label.scene == scene.name]
        for first, second in _crossing(own):
            shared = int((_on_scene(own[first], scene, classes, own[second]) != IGNORE).sum())
            if shared:
                found.append(_conflict(own[first], own[second], shared))
    return sorted(found, key=lambda conflict: (-conflict.pixels, conflict.rows))


def agreement(labels: Sequence[Label], scenes: Sequence[Scene], classes: ClassMap) -> Agreement:
    """Agreement, to the pixel, on queries that carry labels of two or more people."""
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


def _on_scene(label: Label, scene: Scene, classes: ClassMap, within: Label) -> np.ndarray:
    """The label's pixels in the window where both may be; 255 where either is not."""
    window = _window([label, within], scene)
    own = PolygonLabels([label], [scene], classes).read(window)
    other = PolygonLabels([within], [scene], classes).read(window)
    return np.where(other == IGNORE, IGNORE, own)


def _cross_table(
    ones: list[Label], others: list[Label], scenes: dict[str, Scene], classes: ClassMap
) -> np.ndarray:
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


def _kappa(matrix: np.ndarray) -> float:
    """Cohen (1960): agreement beyond what the two people's class shares would give by chance."""
    total = matrix.sum()
    if not total:
        return float("nan")
    chance = float(matrix.sum(axis=0) @ matrix.sum(axis=1)) / float(total) ** 2
    return float("nan") if chance == 1 else float((np.trace(matrix) / total - chance) / (1 - chance))
