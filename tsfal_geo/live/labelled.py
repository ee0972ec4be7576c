"""The labelled cells of all scenes, kept block by block, so that an answer costs what it touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tsfal_geo.classes import IGNORE
from tsfal_geo.instant.cells import CellCache, cell_shape
from tsfal_geo.instant.classifier import LabelledCells
from tsfal_geo.instant.labels import label_cells
from tsfal_geo.labels.model import Label, LabelSnapshot, Query, label_keys
from tsfal_geo.labels.rasterise import BLOCK, PolygonLabels, StackedLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.inputs import Inputs

Key = tuple[int, int, int]
"""Scene, and row and column of a block of 512 × 512 pixels."""


@dataclass(frozen=True)
class BlockCells:
    """The labelled cells of a block.

    Attributes:
        places: (n,) int64, positions in the scene's cells, row by row, rising.
        classes: (n,) int64 class indices.
        features: (n, K) float32 components.
        born: (n,) int64, number of the change that labelled a cell so.
    """

    places: NDArray[np.int64]
    classes: NDArray[np.int64]
    features: NDArray[np.float32]
    born: NDArray[np.int64]


@dataclass(frozen=True)
class Change:
    """The difference that new or withdrawn labels made to the labelled cells.

    Attributes:
        blocks: the blocks that were read anew.
        gone: cells before the change, of these blocks.
        come: cells after it.
    """

    blocks: tuple[Key, ...]
    gone: tuple[BlockCells, ...]
    come: tuple[BlockCells, ...]


class LiveLabels:
    """People's labels over the folder's, on cells; equal to what a round would collect.

    Args:
        inputs: of the workspace.
        cache: the cells' components.
    """

    def __init__(self, inputs: Inputs, cache: CellCache) -> None:
        self._inputs, self._cache = inputs, cache
        self._scenes = {scene.name: position for position, scene in enumerate(inputs.scenes)}
        self._manual = PolygonLabels((), inputs.scenes, inputs.classes)
        self._skipped = PolygonLabels((), inputs.scenes, inputs.classes)
        self._labels: dict[str, Label] = {}
        self._blocks: dict[Key, BlockCells] = {}
        self._changes = 0

    @property
    def every(self) -> StackedLabels:
        """People's polygons over the folder's labels."""
        return StackedLabels(self._manual, self._inputs.base)

    @property
    def skipped(self) -> PolygonLabels:
        """Not 255 where people skipped a query or were unsure."""
        return self._skipped

    @property
    def number(self) -> int:
        """Number of changes until now."""
        return self._changes

    def begin(self) -> Change:
        """Read the labels that the folder brings."""
        blocks = {
            key
            for i in self._inputs.labelled
            for key in self._blocks_of(self._inputs.chips[i].scene, *_bounds(self._inputs.chips[i].window))
        }
        return self._read(blocks)

    def update(self, snapshot: LabelSnapshot, skipped: Sequence[Query] = ()) -> Change:
        """Take the labels that hold now.

        Args:
            snapshot: of the store.
            skipped: queries that people skipped or were unsure about.

        Returns:
            What became of the cells; no blocks where nothing changed.
        """
        labels = snapshot.labels
        known = dict(zip(label_keys(labels), labels, strict=True)) if labels else {}
        changed = [known[key] for key in known.keys() - self._labels.keys()]
        changed += [self._labels[key] for key in self._labels.keys() - known.keys()]
        some_class = int(self._inputs.classes.ids[0])
        hidden = [Label(query.scene, some_class, query.geometry) for query in skipped]
        self._skipped = PolygonLabels(hidden, self._inputs.scenes, self._inputs.classes, self._skipped)
        if not changed:
            return Change((), (), ())
        self._labels = known
        self._manual = PolygonLabels(labels, self._inputs.scenes, self._inputs.classes, self._manual)
        return self._read({key for label in changed for key in self._touched(label)})

    def cells(self) -> tuple[LabelledCells, NDArray[np.int64]]:
        """Collect all labelled cells, scene by scene and row by row, and the change that made each.

        Returns:
            The cells, and (n,) int64 numbers of changes.
        """
        by_scene: dict[int, list[BlockCells]] = {}
        for key, block in self._blocks.items():
            by_scene.setdefault(key[0], []).append(block)
        parts, answers, last = [], [], 0
        for scene in sorted(by_scene):
            own = _joined(by_scene[scene])
            numbers = _answers(own, cell_shape(self._inputs.scenes[scene])[1])
            answers.append(numbers + last)
            last = int(answers[-1].max())
            parts.append(own)
        if not parts:
            empty = np.zeros(0, np.int64)
            features = np.zeros((0, self._cache.components), np.float32)
            return LabelledCells(features, empty, empty), empty
        features = np.concatenate([part.features for part in parts])
        classes = np.concatenate([part.classes for part in parts])
        born = np.concatenate([part.born for part in parts])
        return LabelledCells(features, classes, np.concatenate(answers)), born

    def _read(self, blocks: Iterable[Key]) -> Change:
        self._changes += 1
        keys = tuple(sorted(blocks))
        gone, come = [], []
        every = self.every
        for key in keys:
            before, after = self._blocks.pop(key, None), self._block(key, every)
            if before is not None:
                gone.append(before)
                after = _with_births(after, before)
            if len(after.places):
                self._blocks[key] = after
                come.append(after)
        return Change(keys, tuple(gone), tuple(come))

    def _block(self, key: Key, every: StackedLabels) -> BlockCells:
        position, row, column = key
        scene = self._inputs.scenes[position]
        y, x = row * BLOCK, column * BLOCK
        window = Window(position, y, x, min(BLOCK, scene.height - y), min(BLOCK, scene.width - x))
        found = label_cells(every.read(window), len(self._inputs.classes))
        top, left = y // CELL, x // CELL
        cells = self._cache.scene(position)[top : top + found.shape[0], left : left + found.shape[1]]
        rows, columns = np.nonzero((found != IGNORE) & np.isfinite(cells[..., 0]))
        places = (rows + top) * cell_shape(scene)[1] + columns + left
        features = np.asarray(cells[rows, columns], np.float32)
        classes = found[rows, columns].astype(np.int64)
        return BlockCells(places, classes, features, np.full(len(places), self._changes, np.int64))

    def _touched(self, label: Label) -> set[Key]:
        position = self._scenes[label.scene]
        shape = to_pixels(label.geometry, self._inputs.scenes[position])
        left, top, right, bottom = shapely.bounds(shape).tolist()
        # A point or a line labels the pixels that it touches.
        return self._blocks_of(position, top - 1, left - 1, bottom + 1, right + 1)

    def _blocks_of(self, scene: int, top: float, left: float, bottom: float, right: float) -> set[Key]:
        height, width = self._inputs.scenes[scene].shape
        rows = range(int(max(top, 0)) // BLOCK, -(-int(np.ceil(min(bottom, height))) // BLOCK))
        columns = range(int(max(left, 0)) // BLOCK, -(-int(np.ceil(min(right, width))) // BLOCK))
        return {(scene, row, column) for row in rows for column in columns}


def _bounds(window: Window) -> tuple[int, int, int, int]:
    return window.y, window.x, window.y + window.height, window.x + window.width


def _with_births(after: BlockCells, before: BlockCells) -> BlockCells:
    """Return cells with the numbers that those of the same class had before."""
    found = np.searchsorted(before.places, after.places).clip(max=len(before.places) - 1)
    same = (before.places[found] == after.places) & (before.classes[found] == after.classes)
    return replace(after, born=np.where(same, before.born[found], after.born))


def _joined(blocks: Sequence[BlockCells]) -> BlockCells:
    places = np.concatenate([block.places for block in blocks])
    order = np.argsort(places)
    return BlockCells(
        places[order],
        np.concatenate([block.classes for block in blocks])[order],
        np.concatenate([block.features for block in blocks])[order],
        np.concatenate([block.born for block in blocks])[order],
    )


def _answers(cells: BlockCells, width: int) -> NDArray[np.int64]:
    """Number the connected labels of one class as `tsfal_geo.instant.labels.answers_of` does, (n,) from 1."""
    places, classes, count = cells.places, cells.classes, len(cells.places)
    pairs = []
    for step in (1, width):
        found = np.searchsorted(places, places + step).clip(max=count - 1)
        beside = places[found] == places + step
        if step == 1:
            beside &= places % width != width - 1
        beside &= classes[found] == classes
        pairs.append((np.flatnonzero(beside), found[beside]))
    first, second = (np.concatenate(each) for each in zip(*pairs, strict=True))
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    _, piece = connected_components(graph, directed=False)
    # Numbers rise with the class, then with the first cell, row by row.
    heads = np.full(piece.max() + 1, count)
    np.minimum.at(heads, piece, np.arange(count))
    number = np.empty(len(heads), np.int64)
    number[np.lexsort((heads, classes[heads]))] = np.arange(1, len(heads) + 1)
    return np.asarray(number[piece])
