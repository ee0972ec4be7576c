"""Tidings of a live session: what changed, and how far the map is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tsfal_geo.live.judgement import Score


@dataclass(frozen=True)
class Update:
    """Effects of an answer, of another person's answer, or of a fit.

    Attributes:
        labels: a label came, went or changed.
        fitted: the head was fitted from scratch.
        settled: queries that the labels settled since the last update.
        returned: queries that were settled and are doubtful again.
        answered: somebody answered or skipped a query.
        round: number of a round that has ended since the last update; None: none has.
    """

    labels: bool = False
    fitted: bool = False
    settled: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    answered: bool = False
    round: int | None = None

    def __bool__(self) -> bool:
        return self != Update()

    def joined(self, later: Update) -> Update:
        """Return this update and a later one as one.

        Args:
            later: the other one.
        """
        return Update(
            self.labels or later.labels,
            self.fitted or later.fitted,
            (*self.settled, *later.settled),
            (*self.returned, *later.returned),
            self.answered or later.answered,
            self.round if later.round is None else later.round,
        )


@dataclass(frozen=True)
class Progress:
    """The estimated accuracy, and how much the map still changes.

    Attributes:
        score: by cross-validation; None with fewer than thirty answers.
        changed: share of the cells whose class changed over the last fifty answers; None with fewer.
        answers: number of answers of all people.
        enough: the map hardly changes any more: to stop is reasonable.
    """

    score: Score | None
    changed: float | None
    answers: int
    enough: bool

    def to_json(self) -> dict[str, Any]:
        """Return the values of the event ``score``."""
        figures: dict[str, Any] = {"accuracy": None, "error": None, "class_accuracy": {}}
        if self.score is not None:
            figures = {key: value for key, value in self.score.to_json().items() if key != "answers"}
        changed = None if self.changed is None else round(self.changed, 4)
        return {**figures, "answers": self.answers, "changed": changed, "enough": self.enough}
