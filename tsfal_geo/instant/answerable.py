"""The probability that a person answers a question, learnt from what was answered and what was skipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.instant.segments import Traits

_ENOUGH = 20


@dataclass(frozen=True)
class Asked:
    """Questions of earlier rounds.

    Attributes:
        columns: (n, 3) float64, `Traits.columns` when they were asked.
        answered: (n,) bool, False where the person skipped the question or was unsure.
    """

    columns: NDArray[np.float64]
    answered: NDArray[np.bool_]

    @classmethod
    def nothing(cls) -> Asked:
        """Return what is known before the first question."""
        return cls(np.zeros((0, 3)), np.zeros(0, bool))


class Answerable:
    """Probability that a question gets an answer.

    A person skips a segment where classes meet, and where the ground has no class. Such questions cost a
    second each and teach nothing, so that their worth is divided by how rarely the like were answered. The
    model is a logistic regression on size, spread and margin of the segments, with scikit-learn's
    regularisation, from 20 questions on; before, and where all got the same, each question has probability 1.

    Args:
        asked: questions of earlier rounds.
    """

    def __init__(self, asked: Asked) -> None:
        self._model = None
        if len(asked.answered) >= _ENOUGH and 0 < asked.answered.sum() < len(asked.answered):
            # scikit-learn takes seconds to import.
            from sklearn.linear_model import LogisticRegression
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler

            self._model = make_pipeline(StandardScaler(), LogisticRegression())
            self._model.fit(asked.columns, asked.answered)

    @classmethod
    def unlearnt(cls) -> Answerable:
        """Return what is known before the first question: each has probability 1."""
        return cls(Asked.nothing())

    def probability(self, traits: Traits) -> NDArray[np.float64]:
        """Return the probability of an answer for each of R segments, (R,)."""
        if self._model is None or not len(traits.cells):
            return np.ones(len(traits.cells))
        found: NDArray[np.float64] = self._model.predict_proba(traits.columns())[:, 1]
        return found

    def worth(self, traits: Traits) -> NDArray[np.float64]:
        """Return the worth of an answer to each of R segments, (R,), larger is better.

        It is the doubt that the answer ends, one minus the margin, times the logarithm of the segment's
        cells, times the probability of an answer: a second of the annotator buys more cells in a large
        segment, but they resemble each other.

        Args:
            traits: of the segments.
        """
        return np.asarray(np.log1p(traits.cells) * (1 - traits.margin) * self.probability(traits))
