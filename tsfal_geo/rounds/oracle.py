"""The oracle: the folder's own labels answer the queries, through the same store that people use."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage
from shapely import MultiPolygon, Polygon

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import ActiveConfig
from tsfal_geo.labels.effort import POINT_PIXELS, SECONDS, measure_effort, polygon_seconds
from tsfal_geo.labels.model import Decision, Label, LabelSnapshot, Query
from tsfal_geo.labels.polygonise import class_polygons, region_polygon
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.raster.scene import Scene
from tsfal_geo.rounds.inputs import Inputs

AUTHOR = "oracle"

PURE = 0.95
"""Share of a query's pixels from which on ``mixed`` answers with one class."""

_TOLERANCE = 1e-6  # of sums of seconds
_CELL = math.isqrt(POINT_PIXELS)


@dataclass(frozen=True)
class Allowance:
    """Effort that the answers to a round's queries may take; None: no limit.

    Attributes:
        answers: number of answers.
        seconds: of a person's time.
    """

    answers: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class _Truth:
    """A query's true classes.

    Attributes:
        query: the query.
        scene: that it lies on.
        y: first row of the arrays in the scene.
        x: first column.
        mask: (h, w) bool, the query's pixels.
        classes: (h, w) uint8 class indices, 255 outside the mask and where the truth is void.
    """

    query: Query
    scene: Scene
    y: int
    x: int
    mask: NDArray[np.bool_]
    classes: NDArray[np.uint8]

    def dominant(self) -> tuple[int, float]:
        """Return the commonest class and its share of all pixels; void may be the commonest."""
        counts = np.bincount(self.classes[self.mask], minlength=IGNORE + 1)
        index = int(counts.argmax())
        return index, float(counts[index] / counts.sum())


class Oracle:
    """Answers queries from the truth as ``active.oracle_answers`` says.

    Args:
        inputs: give the truth.
        active: the kind of answers, and how often they are wrong or missing.
        seed: of the errors; a query always has the same.
    """

    def __init__(self, inputs: Inputs, active: ActiveConfig, seed: int) -> None:
        self._inputs, self._active, self._seed = inputs, active, seed
        self._positions = {scene.name: position for position, scene in enumerate(inputs.scenes)}
        self._corners = {(chip.scene, f"{chip.row}-{chip.col}"): (chip.y, chip.x) for chip in inputs.chips}

    def answers(self, queries: Sequence[Query]) -> Iterator[tuple[list[Label], Decision]]:
        """Answer queries one by one.

        Args:
            queries: in the order of their answers.

        Yields:
            A query's labels, the later ones on top, and its decision.
        """
        worth = self._worth(queries) if self._active.oracle_answers == "mixed" else 0.0
        for query in queries:
            draw = np.random.default_rng(
                [self._seed, *hashlib.blake2b(query.qid.encode(), digest_size=8).digest()]
            )
            if draw.random() < self._active.oracle_unsure:
                yield [], Decision(query.qid, query.round, "unsure", AUTHOR)
                continue
            labels = self._labels(self._truth(query), worth)
            # Exact answers leave void pixels unlabelled: a query of void alone is done without a label.
            status = "done" if labels or self._active.oracle_answers == "exact" else "skipped"
            yield self._with_errors(labels, draw), Decision(query.qid, query.round, status, AUTHOR)

    def _labels(self, truth: _Truth, worth: float) -> list[Label]:
        kind = self._active.oracle_answers
        if kind == "exact":
            return self._polygons(truth, truth.classes, "oracle")
        if kind == "point" or (kind == "mixed" and truth.query.pixels <= POINT_PIXELS):
            return self._point(truth)
        index, share = truth.dominant()
        if kind == "mixed":
            return self._mixed(truth, index, share, worth)
        if index == IGNORE or share < self._active.oracle_purity:
            return []
        return [self._label(truth, index, truth.query.geometry, "filled")]

    def _point(self, truth: _Truth) -> list[Label]:
        """Give the class of the innermost pixel to its cell: the whole query where that is no larger."""
        depth = ndimage.distance_transform_edt(np.pad(truth.mask, 1))[1:-1, 1:-1]
        row, column = divmod(int(depth.argmax()), truth.mask.shape[1])
        index = int(truth.classes[row, column])
        if index == IGNORE:
            return []
        if truth.query.pixels <= POINT_PIXELS:
            return [self._label(truth, index, truth.query.geometry, "filled")]
        top, left = self._corners.get(
            (self._positions[truth.scene.name], truth.query.chip), (truth.y, truth.x)
        )
        first_row = row - (truth.y + row - top) % _CELL
        first_column = column - (truth.x + column - left) % _CELL
        cell = np.zeros_like(truth.mask)
        cell[max(first_row, 0) : first_row + _CELL, max(first_column, 0) : first_column + _CELL] = True
        outline = region_polygon(cell & truth.mask, truth.scene.grid, truth.y, truth.x)
        return [self._label(truth, index, outline, "filled")]

    def _mixed(self, truth: _Truth, index: int, share: float, worth: float) -> list[Label]:
        """Answer by key where the query is pure, else by polygons on top where they are worth their seconds.

        The pieces that correct most pixels a second are drawn until the query is pure. Where that is not
        worth its seconds, or void is in the way, only pieces are drawn that are worth theirs.
        """
        key = [] if index == IGNORE else [self._label(truth, index, truth.query.geometry, "filled")]
        if key and share >= PURE:
            return key
        scenes = {truth.scene.name: truth.scene}
        area = abs(truth.scene.grid.affine.determinant)
        pieces = self._polygons(truth, truth.classes, "drawn")
        seconds = polygon_seconds(pieces, scenes)
        pixels = np.array([round(piece.geometry.area / area) for piece in pieces])
        rate = pixels / seconds
        if key:
            others = [i for i in np.argsort(-rate, kind="stable") if pieces[i].class_id != key[0].class_id]
            right = share + np.cumsum(pixels[others]) / truth.query.pixels
            enough = int(np.searchsorted(right, PURE)) + 1
            spent = SECONDS["key"] + seconds[others][:enough].sum()
            if enough <= len(others) and right[enough - 1] * truth.query.pixels / spent >= worth:
                return key + [pieces[i] for i in others[:enough]]
        return [piece for piece, own in zip(pieces, rate, strict=True) if own >= worth]

    def _worth(self, queries: Sequence[Query]) -> float:
        """Return the pixels that a second is worth: those of the median query that a key answers."""
        truths = (self._truth(query) for query in queries)
        sizes = [truth.query.pixels for truth in truths if _is_pure(truth)]
        return median(sizes) / SECONDS["key"] if sizes else 0.0

    def _with_errors(self, labels: list[Label], draw: np.random.Generator) -> list[Label]:
        """Replace the classes of some labels by other classes, each as likely."""
        ids = self._inputs.classes.ids
        result = []
        for label in labels:
            if draw.random() < self._active.oracle_error and len(ids) > 1:
                others = [int(number) for number in ids if number != label.class_id]
                label = replace(label, class_id=others[int(draw.integers(len(others)))])
            result.append(label)
        return result

    def _polygons(self, truth: _Truth, classes: NDArray[np.uint8], source: str) -> list[Label]:
        """Return a label for each connected piece of a class."""
        return [
            self._label(truth, index, polygon, source)
            for index, polygon in class_polygons(classes, truth.scene.grid, truth.y, truth.x, IGNORE)
        ]

    def _label(self, truth: _Truth, index: int, shape: Polygon | MultiPolygon, source: str) -> Label:
        return Label(
            scene=truth.scene.name,
            class_id=int(self._inputs.classes.ids[index]),
            geometry=shape,
            qid=truth.query.qid,
            round=truth.query.round,
            author=AUTHOR,
            source=source,
        )

    def _truth(self, query: Query) -> _Truth:
        position = self._positions[query.scene]
        scene = self._inputs.scenes[position]
        mask, y, x = query_mask(query, scene)
        values = self._inputs.truth.read(Window(position, y, x, *mask.shape))
        return _Truth(query, scene, y, x, mask, np.where(mask, values, np.uint8(IGNORE)))


def answer_queries(
    store: LabelStore,
    oracle: Oracle,
    queries: Sequence[Query],
    allowance: Allowance,
    snapshot: LabelSnapshot,
) -> None:
    """Answer queries by rank, in one transaction; later ones stay open once the allowance is spent.

    An answer that is begun is finished: polygons of one query may exceed the allowance.

    Args:
        store: takes the answers.
        oracle: gives them.
        queries: of the round, by rank.
        allowance: of the round; answers of the oracle that the store already has are taken off.
        snapshot: of the store, with what was answered before.
    """
    qids = {query.qid for query in queries}
    given = measure_effort(
        LabelSnapshot(
            tuple(label for label in snapshot.labels if label.qid in qids and label.author == AUTHOR),
            tuple(item for item in snapshot.decisions if item.qid in qids and item.author == AUTHOR),
        ),
        store.scenes,
    )
    answers, seconds = given.answers, given.seconds
    answered = snapshot.answered
    labels: list[Label] = []
    decisions: list[Decision] = []
    for own, decision in oracle.answers([query for query in queries if query.qid not in answered]):
        if allowance.answers is not None and answers >= allowance.answers:
            break
        if allowance.seconds is not None and seconds >= allowance.seconds - _TOLERANCE:
            break
        effort = measure_effort(LabelSnapshot(tuple(own), (decision,)), store.scenes)
        answers, seconds = answers + effort.answers, seconds + effort.seconds
        labels += own
        decisions.append(decision)
    if decisions:
        store.add(AUTHOR, labels, decisions)


def _is_pure(truth: _Truth) -> bool:
    index, share = truth.dominant()
    return index != IGNORE and share >= PURE


def query_mask(query: Query, scene: Scene) -> tuple[NDArray[np.bool_], int, int]:
    """Return a query's pixels on its scene's grid: mask (h, w) bool, row and column of its first pixel.

    Args:
        query: the query.
        scene: that it lies on.
    """
    geometry = to_pixels(query.geometry, scene)
    left, top, right, bottom = geometry.bounds
    # Outlines run along pixel edges, so that rounding only takes float noise away.
    x, y = round(left), round(top)
    shape = (round(bottom) - y, round(right) - x)
    mask = rasterize([(geometry, 1)], out_shape=shape, transform=(1, 0, x, 0, 1, y), dtype=np.uint8)
    return mask.astype(bool), y, x
