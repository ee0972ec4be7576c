"""The open queries of a round, ranked anew with each answer; those that the labels settled are withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.instant.answerable import Answerable
from tsfal_geo.instant.cells import CellCache, cell_shape
from tsfal_geo.instant.segments import LEADING, Traits
from tsfal_geo.labels.model import Query
from tsfal_geo.live.judgement import Judgement
from tsfal_geo.live.view import Model
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.oracle import query_mask

_STEP = 50
"""Queries whose cells are read at a time, so that nobody waits for them."""


@dataclass(frozen=True)
class Ranking:
    """The order in which open queries are worth answering.

    Attributes:
        order: qids of the open queries that are not settled, best first.
        settled: qids of the open queries whose class the labels decide.
        classes: predicted class index by qid; none before the first label.
        worth: expected gain of an answer, by qid.
    """

    order: tuple[str, ...] = ()
    settled: frozenset[str] = frozenset()
    classes: dict[str, int] = field(default_factory=dict)
    worth: dict[str, float] = field(default_factory=dict)


class QueryQueue:
    """Features of the queries of a round, and their order under the present model.

    Args:
        scenes: the training scenes.
        cache: their cells.
    """

    def __init__(self, scenes: Sequence[Scene], cache: CellCache) -> None:
        self._cache = cache
        self._scenes = {scene.name: (position, scene) for position, scene in enumerate(scenes)}
        self._waiting: list[Query] = []
        self.queries: dict[str, Query] = {}
        self._means: list[NDArray[np.float32]] = []
        self._cells: list[int] = []
        self._spread: list[float] = []
        self._qids: list[str] = []

    def add(self, queries: Sequence[Query]) -> None:
        """Take queries in; the features of the first ones are read at once.

        Args:
            queries: by rank.
        """
        new = [query for query in queries if query.qid not in self.queries]
        self.queries |= {query.qid: query for query in new}
        self._waiting += new
        self.read_some()

    def read_some(self, most: int = _STEP) -> bool:
        """Read the features of some queries that wait for it.

        Args:
            most: number of queries.

        Returns:
            Whether there were any.
        """
        some, self._waiting = self._waiting[:most], self._waiting[most:]
        for query in some:
            self._read(query)
        return bool(some)

    def rank(
        self, model: Model, judgement: Judgement, answered: frozenset[str], answerable: Answerable
    ) -> Ranking:
        """Rank the open queries.

        The worth of an answer is that of a round's queries: the doubt that it ends, times the logarithm of
        its cells, times the probability of an answer. A query is settled where the held-out cells were right
        at its confidence, and the nearest class mean agrees.

        Args:
            model: of the cells.
            judgement: of the model.
            answered: qids with an answer.
            answerable: learnt from what was answered and skipped.
        """
        open_ones = [i for i, qid in enumerate(self._qids) if qid not in answered]
        later = [query.qid for query in self._waiting if query.qid not in answered]
        if not open_ones or model.classifier is None:
            known = sorted((self._qids[i] for i in open_ones), key=lambda qid: self.queries[qid].rank)
            return Ranking((*known, *later))
        means = np.stack([self._means[i] for i in open_ones])
        probabilities = model.classifier.probabilities(means)
        traits = Traits.predicted(
            np.array([self._cells[i] for i in open_ones]),
            np.array([self._spread[i] for i in open_ones]),
            probabilities,
        )
        worth = answerable.worth(traits)
        classes = probabilities.argmax(1)
        settled = np.zeros(len(open_ones), bool)
        if judgement.settled is not None and model.distances is not None:
            settled = probabilities.max(1) >= judgement.settled
            settled &= model.distances.nearest(means) == classes
        qids = [self._qids[i] for i in open_ones]
        order = [qids[i] for i in np.argsort(-worth, kind="stable") if not settled[i]]
        return Ranking(
            (*order, *later),
            frozenset(qid for qid, gone in zip(qids, settled, strict=True) if gone),
            dict(zip(qids, classes.tolist(), strict=True)),
            dict(zip(qids, worth.tolist(), strict=True)),
        )

    def _read(self, query: Query) -> None:
        position, scene = self._scenes[query.scene]
        mask, y, x = query_mask(query, scene)
        bottom, right = y + mask.shape[0], x + mask.shape[1]
        padded = np.pad(mask, ((y % CELL, -bottom % CELL), (x % CELL, -right % CELL)))
        count = padded.reshape(padded.shape[0] // CELL, CELL, -1, CELL).sum((1, 3))
        rows, columns = np.nonzero(count >= min(CELL * CELL // 2, int(count.max(initial=1))))
        height, width = cell_shape(scene)
        rows, columns = (rows + y // CELL).clip(max=height - 1), (columns + x // CELL).clip(max=width - 1)
        cells = np.asarray(self._cache.scene(position)[rows, columns], np.float32)
        cells = cells[np.isfinite(cells[:, 0])]
        if not len(cells):
            cells = np.zeros((1, self._cache.components), np.float32)
        self._qids.append(query.qid)
        self._means.append(cells.mean(0))
        self._cells.append(len(cells))
        self._spread.append(float(cells[:, :LEADING].astype(np.float64).var(0).sum()))
