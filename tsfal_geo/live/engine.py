"""The model of a live session: it follows the labels at once, and is fitted anew in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.instant.answerable import Answerable, Asked
from tsfal_geo.instant.classifier import CellClassifier, LabelledCells
from tsfal_geo.instant.fitting import continue_fit, fit_classifier
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.live.judgement import Judgement, Score, judge, score
from tsfal_geo.live.labelled import Change, LiveLabels
from tsfal_geo.live.statistics import ClassStatistics
from tsfal_geo.live.view import Model
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.cells import CachedCells

LATELY = 50
"""Answers over which the map's change is told."""
_STEPS, _FIRST_STEPS = 24, 120
"""Steps after an answer, and after the first one, which has nothing to go on from."""


@dataclass(frozen=True)
class Fit:
    """A head that was fitted from scratch.

    Attributes:
        number: of the change up to which its labels count.
        answers: that it was fitted on.
        classifier: the head.
        predicted: (m,) uint8 class indices of the sample of all cells.
        answerable: learnt from what was answered and skipped.
    """

    number: int
    answers: int
    classifier: CellClassifier
    predicted: NDArray[np.uint8]
    answerable: Answerable


class LiveModel:
    """Head, class means and judgement, after each change of the labels.

    After an answer the head goes on for a few steps, which shows the answer at once. A fit from scratch,
    which a worker makes, replaces it: the head that the next round would have, to the bit.

    Args:
        context: the workspace.
        cells: of its scenes.
        seed: of the fits.

    Attributes:
        labels: the labelled cells.
        last: the last fit from scratch; None before.
    """

    def __init__(self, context: RoundContext, cells: CachedCells, seed: int) -> None:
        self._context, self._cells, self._seed = context, cells, seed
        self._classes = len(context.inputs.classes)
        self.labels = LiveLabels(context.inputs, cells.cache)
        self.statistics = ClassStatistics(self._classes, cells.cache.components)
        self.last: Fit | None = None
        self._classifier: CellClassifier | None = None
        self._judgement = Judgement()
        self._past: list[tuple[int, NDArray[np.uint8]]] = []
        self._take(self.labels.begin())

    @property
    def judgement(self) -> Judgement:
        """Conclusions from the labels about the model."""
        return self._judgement

    @property
    def model(self) -> Model:
        """All that predicts a cell now."""
        doubt = self._context.config.plar.confidence
        distances = self.statistics.distances()
        return Model(self._classifier, distances, self._judgement.rule, doubt)

    def update(self, snapshot: LabelSnapshot, skipped: list[Query], *, follow: bool = True) -> bool:
        """Take the labels that hold now, and let the head follow.

        Args:
            snapshot: of the store.
            skipped: queries that people skipped or were unsure about.
            follow: False: the head waits for a fit from scratch.

        Returns:
            Whether a label changed.
        """
        changed = self._take(self.labels.update(snapshot, skipped))
        if changed and follow:
            self._follow()
        return changed

    def begin_fit(self, asked: Asked, stop: Callable[[], bool]) -> FitJob | None:
        """Return a fit from scratch as a job for another thread, None without a labelled cell.

        Args:
            asked: what was answered and skipped.
            stop: tells that the session has ended.
        """
        cells, _ = self.labels.cells()
        if not len(cells):
            return None
        return FitJob(cells, self.labels.number, self._classes, self._seed, self._cells.sample, asked, stop)

    def take_fit(self, fit: Fit) -> None:
        """Replace the head by one that was fitted from scratch; answers since then are followed again.

        Args:
            fit: of a job.
        """
        cells, _ = self.labels.cells()
        if not len(cells):
            return
        self.last, self._classifier = fit, fit.classifier
        self._past.append((fit.answers, fit.predicted))
        # A session lasts for a day: of the fits before the last fifty answers only the newest is needed.
        while len(self._past) > 1 and self._past[1][0] <= fit.answers - LATELY:
            del self._past[0]
        if self.labels.number > fit.number:
            self._follow()
            return
        doubt = self._context.config.plar.confidence
        self._judgement = judge(fit.classifier, self.statistics.distances(), cells, doubt)

    def score(self) -> Score | None:
        """Return the estimated accuracy of the last fit from scratch; None with too few answers."""
        held = None if self.last is None else self.last.classifier.judged
        return None if held is None else score(held, self._context.inputs.classes.names)

    def changed_lately(self) -> float | None:
        """Return the share of all cells whose class changed over the last fifty answers.

        Returns:
            0 to 1, of a sample of the cells; None where there were not as many answers between two fits.
        """
        if self.last is None or not self._past or self._past[0][0] > self.last.answers - LATELY:
            return None
        return float((self._past[0][1] != self.last.predicted).mean())

    def _take(self, change: Change) -> bool:
        for sign, blocks in ((-1, change.gone), (1, change.come)):
            for block in blocks:
                self.statistics.add(block.features, block.classes, sign)
        return bool(change.blocks)

    def _follow(self) -> None:
        cells, born = self.labels.cells()
        if not len(cells):
            self._classifier, self.last, self._judgement = None, None, Judgement()
            return
        known = -1 if self.last is None else self.last.number
        order = np.argsort(born > known, kind="stable")
        newest = int((born > known).sum())
        steps = _STEPS if self._classifier is not None else _FIRST_STEPS
        ordered = LabelledCells(cells.features[order], cells.classes[order], cells.answers[order])
        self._classifier = continue_fit(
            self._classifier, ordered, self._classes, self.labels.number, newest % len(cells), steps
        )


@dataclass(frozen=True)
class FitJob:
    """A fit from scratch that holds all it needs; call it in any thread."""

    cells: LabelledCells
    number: int
    classes: int
    seed: int
    sample: NDArray[np.float32]
    asked: Asked
    stop: Callable[[], bool]

    def __call__(self) -> Fit:
        """Fit; seconds."""
        classifier = fit_classifier(self.cells, self.classes, self.seed, self.sample, self.stop)
        predicted = classifier.probabilities(self.sample).argmax(1).astype(np.uint8)
        answers = len(np.unique(self.cells.answers))
        return Fit(self.number, answers, classifier, predicted, Answerable(self.asked))
