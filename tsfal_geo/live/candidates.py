"""Segments of all scenes that may become new queries while a person answers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.instant.answerable import Answerable
from tsfal_geo.instant.choice import choose
from tsfal_geo.instant.classifier import CellClassifier
from tsfal_geo.instant.segments import Segmentation, Segments, Traits
from tsfal_geo.labels.model import Query
from tsfal_geo.live.labelled import LiveLabels
from tsfal_geo.live.view import Model
from tsfal_geo.raster.chips import Window
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.cells import CachedCells
from tsfal_geo.rounds.instant.pieces import DOUBTFUL, Pieces, most_of, piece_query
from tsfal_geo.rounds.instant.rasters import Band, cell_bands

_AS_A_ROUND = 100
"""Segments among which the first ones are taken: few chosen alone lie where doubt is greatest."""


class Candidates:
    """Segments that may be asked next; a context manager that removes its files.

    Args:
        context: the workspace.
        cells: of its scenes.
        classifier: the head, whose predicted classes end segments; None before the first label.
        labels: people's and the folder's.
        stop: tells that the session has ended.
    """

    def __init__(
        self,
        context: RoundContext,
        cells: CachedCells,
        classifier: CellClassifier | None,
        labels: LiveLabels,
        stop: Callable[[], bool],
    ) -> None:
        self._context = context
        self._folder = tempfile.TemporaryDirectory(prefix="tsfal-live-")
        self._asked: set[tuple[int, int]] = set()
        self._scored: list[Segments] = []
        inputs, seed = context.inputs, context.config.train.seed
        every, skipped = labels.every, labels.skipped
        self._pieces = Pieces(
            skipped,
            Path(self._folder.name),
            Segmentation(cells.sample, seed),
            lambda traits: np.log1p(traits.cells),
            most_of(inputs.scenes),
        )
        for position, scene in enumerate(inputs.scenes):
            for window, own in cell_bands(cells.cache.scene(position), position, scene):
                if stop():
                    return
                probabilities = None
                if classifier is not None:
                    probabilities = np.nan_to_num(classifier.probabilities(own))
                valid = inputs.reader.read(window).valid & (every.read(window) == IGNORE)
                self._pieces.add(Band(window, own, probabilities, None), valid)
        self._scored = list(self._pieces.found)

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def score(self, model: Model, answerable: Answerable) -> None:
        """Give each segment its class and the worth of its answer under the present model.

        Args:
            model: of the cells.
            answerable: learnt from what was answered and skipped.
        """
        if model.classifier is None:
            return
        scored = []
        for own in self._pieces.found:
            probabilities = model.classifier.probabilities(own.means)
            traits = Traits.predicted(own.traits.cells, own.traits.spread, probabilities)
            worth = answerable.worth(traits).astype(np.float32)
            scored.append(replace(own, predicted=probabilities.argmax(1), worth=worth, traits=traits))
        self._scored = scored

    def take(
        self,
        count: int,
        number: int,
        names: Callable[[int], tuple[str, int]],
        labels: LiveLabels,
        taken: Sequence[Query],
        near: Window | None = None,
    ) -> tuple[list[Query], list[Traits]]:
        """Make queries of the best segments that nobody labelled, skipped or was asked yet.

        Args:
            count: of the queries, at most.
            number: of the round.
            names: gives the qid and the rank of the nth new query.
            labels: people's and the folder's, as they are now.
            taken: the round's queries.
            near: window whose segments alone are considered; None: all scenes.

        Returns:
            The queries, best first, and the traits of each.
        """
        found, places = self._open(near)
        chosen = choose(found, max(_AS_A_ROUND, 4 * count), self._context.config.train.seed)
        trees = _trees(taken)
        queries: list[Query] = []
        traits: list[Traits] = []
        for index, place in chosen:
            if len(queries) == count:
                break
            piece, own = found[index].piece, int(places[index][place])
            self._asked.add((piece, own))
            mask, y, x = self._pieces.mask(piece, own)
            window = self._pieces.windows[piece]
            part = Window(window.scene, window.y + y, x, *mask.shape)
            mask = mask[: window.height - y, : window.width - x]
            if _touched(labels, part, mask):
                continue
            qid, rank = names(len(queries))
            query = piece_query(self._context, self._pieces, (piece, own), qid, number, rank, reason=DOUBTFUL)
            query = replace(
                query,
                score=float(found[index].worth[place]),
                suggested=self._class(int(found[index].predicted[place])),
            )
            if query.scene in trees and _overlaps(query.geometry, trees[query.scene]):
                continue
            queries.append(query)
            traits.append(found[index].traits.take(np.array([place])))
        return queries, traits

    def _class(self, index: int) -> int | None:
        return int(self._context.inputs.classes.ids[index]) if index >= 0 else None

    def _open(self, near: Window | None) -> tuple[list[Segments], list[NDArray[np.int64]]]:
        """Return the segments that were not taken yet, of each band, and their places in the band's."""
        found, places = [], []
        for position, own in enumerate(self._scored):
            kept = np.ones(len(own.numbers), bool)
            kept[[place for piece, place in self._asked if piece == position]] = False
            if near is not None:
                if self._pieces.windows[position].scene != near.scene:
                    continue
                rows, columns = self._pieces.centres[position].T
                kept &= (near.y <= rows) & (rows < near.y + near.height)
                kept &= (near.x <= columns) & (columns < near.x + near.width)
            rest = np.flatnonzero(kept)
            if len(rest):
                found.append(_part(own, rest))
                places.append(rest)
        return found, places


def _part(own: Segments, rows: NDArray[np.int64]) -> Segments:
    return Segments(
        own.piece,
        own.numbers[rows],
        own.pixels[rows],
        own.means[rows],
        own.predicted[rows],
        own.worth[rows],
        own.traits.take(rows),
    )


def _touched(labels: LiveLabels, window: Window, mask: NDArray[np.bool_]) -> bool:
    own = Window(window.scene, window.y, window.x, *mask.shape)
    known = (labels.every.read(own) != IGNORE) | (labels.skipped.read(own) != IGNORE)
    return bool((known & mask).any())


def _trees(taken: Sequence[Query]) -> dict[str, shapely.STRtree]:
    by_scene: dict[str, list[shapely.Geometry]] = {}
    for query in taken:
        by_scene.setdefault(query.scene, []).append(query.geometry)
    return {name: shapely.STRtree(shapes) for name, shapes in by_scene.items()}


def _overlaps(shape: shapely.Geometry, tree: shapely.STRtree) -> bool:
    hits = tree.geometries[tree.query(shape, predicate="intersects")]
    return bool(len(hits)) and bool((shapely.area(shapely.intersection(hits, shape)) > 0).any())
