"""Effort of annotators: the number of their answers, and the seconds that these take."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tsfal_geo.labels.model import Label, LabelSnapshot, Scenes

SECONDS: Mapping[str, float] = {
    "key": 2.0,
    "point": 2.4,
    "stroke": 10.9,
    "polygon": 3.0,
    "skip": 1.5,
    "unsure": 1.5,
    "batch": 0.5,
}
"""Seconds of an answer by its kind.

Point and stroke were measured by Bearman et al. 2016 ("What's the Point", ECCV). The others are our
assumptions, which a person's own times replace: a key on a region that is shown, a polygon before its
vertices, a query that is skipped or that the annotator cannot tell, a suggestion that is accepted together
with others.
"""

SECONDS_PER_VERTEX = 1.2
"""Seconds of each vertex of a polygon, our assumption."""

POINT_PIXELS = 16
"""Pixels of a label, one cell of 4 × 4, up to which a key or a touch of the brush counts as a point."""

_ORACLE = "oracle"
# Nobody looks at a region and answers faster: such rows come from one act, or from a program.
_FASTEST = 0.2
_PAUSE = 60.0
_ENOUGH_GAPS = 10


@dataclass(frozen=True)
class KindEffort:
    """Effort of one kind of answer.

    Attributes:
        answers: number of answers.
        seconds: of a person's time.
    """

    answers: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Effort:
    """Effort of annotators.

    An answer is one act of a person: a key, a point, a stroke, a polygon, or a query that is left unanswered.

    Attributes:
        by_kind: the effort of each kind of answer that occurs, keys of `SECONDS`.
    """

    by_kind: Mapping[str, KindEffort] = field(default_factory=dict)

    @property
    def answers(self) -> int:
        """Number of answers of all kinds."""
        return sum(kind.answers for kind in self.by_kind.values())

    @property
    def seconds(self) -> float:
        """Seconds of a person's time for answers of all kinds."""
        return sum(kind.seconds for kind in self.by_kind.values())

    @property
    def minutes(self) -> float:
        """Minutes of a person's time for answers of all kinds."""
        return self.seconds / 60

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``metrics.json`` holds: ``answers``, ``minutes``, and both by kind."""
        return {
            "answers": self.answers,
            "minutes": round(self.minutes, 4),
            "effort": {
                name: {"answers": kind.answers, "seconds": round(kind.seconds, 2)}
                for name, kind in self.by_kind.items()
            },
        }


@dataclass(frozen=True)
class _Answer:
    kind: str
    author: str
    created: datetime
    seconds: float
    accepted: bool = False


def measure_effort(snapshot: LabelSnapshot, scenes: Scenes) -> Effort:
    """Measure the effort behind the labels and decisions of a snapshot.

    Imported labels are not counted: they were made elsewhere. An annotator's own pace replaces the times of
    `SECONDS` for each kind of answer with enough gaps between successive answers: the median ratio of the
    gaps to those times. Gaps of more than a minute are pauses. The oracle has the pace of `SECONDS`.

    Args:
        snapshot: labels and decisions.
        scenes: the scenes by name; their pixels tell points from larger regions, and vertices that a person
            sets from steps along pixel edges.

    Returns:
        The effort of all annotators together.
    """
    by_author: dict[str, list[_Answer]] = defaultdict(list)
    for answer in (*_labels(snapshot.labels, scenes), *_decisions(snapshot)):
        by_author[answer.author].append(answer)
    totals: dict[str, KindEffort] = {}
    for author, answers in by_author.items():
        answers.sort(key=lambda answer: answer.created)
        answers = _with_batches(answers)
        pace = {} if author == _ORACLE else _own_pace(answers)
        for answer in answers:
            total = totals.get(answer.kind, KindEffort())
            seconds = answer.seconds * pace.get(answer.kind, 1.0)
            totals[answer.kind] = KindEffort(total.answers + 1, total.seconds + seconds)
    return Effort({kind: totals[kind] for kind in SECONDS if kind in totals})


def polygon_seconds(labels: Sequence[Label], scenes: Scenes) -> NDArray[np.float64]:
    """Estimate the seconds in which a person draws labels as polygons, to within a pixel.

    Holes take no time: the label inside is drawn on top.

    Args:
        labels: any labels.
        scenes: the scenes by name.

    Returns:
        (labels,) float64; 0 for points and lines.
    """
    if not labels:
        return np.zeros(0)
    parts, owner = shapely.get_parts([label.geometry for label in labels], return_index=True)
    polygons = shapely.get_dimensions(parts) == 2
    parts, owner = parts[polygons], owner[polygons]
    outlines = shapely.polygons(shapely.get_exterior_ring(parts))
    pixel_sides = np.sqrt(_pixel_areas(labels, scenes))
    vertices = shapely.get_num_coordinates(shapely.simplify(outlines, pixel_sides[owner])) - 1
    seconds = SECONDS["polygon"] + SECONDS_PER_VERTEX * vertices
    return np.bincount(owner, seconds, minlength=len(labels))


def _labels(labels: Sequence[Label], scenes: Scenes) -> Iterator[_Answer]:
    own = [label for label in labels if label.source != "imported"]
    drawing = polygon_seconds(own, scenes)
    shapes = [label.geometry for label in own]
    pixels = shapely.area(shapes) / _pixel_areas(own, scenes)
    dimensions = shapely.get_dimensions(shapes)
    for label, drawn, size, dimension in zip(own, drawing.tolist(), pixels, dimensions, strict=True):
        accepted = label.source == "accepted"
        if accepted or label.source == "filled":
            kind = "point" if round(size) <= POINT_PIXELS else "key"
        elif dimension == 0 or (label.source == "brushed" and round(size) <= POINT_PIXELS):
            kind = "point"
        else:
            kind = "stroke" if label.source == "brushed" or dimension == 1 else "polygon"
        seconds = drawn if kind == "polygon" else SECONDS[kind]
        yield _Answer(kind, label.author, label.created, seconds, accepted)


def _pixel_areas(labels: Sequence[Label], scenes: Scenes) -> NDArray[np.float64]:
    areas = {name: abs(scene.grid.affine.determinant) for name, scene in scenes.items()}
    return np.array([areas[label.scene] for label in labels], float)


def _decisions(snapshot: LabelSnapshot) -> Iterator[_Answer]:
    """Count the decisions without a label: a query is left, or has nothing that could be labelled."""
    labelled = {label.qid for label in snapshot.labels}
    for decision in snapshot.decisions:
        if decision.status != "done" or decision.qid not in labelled:
            kind = "unsure" if decision.status == "unsure" else "skip"
            yield _Answer(kind, decision.author, decision.created, SECONDS[kind])


def _with_batches(answers: list[_Answer]) -> list[_Answer]:
    """Find the suggestions that were accepted together: faster one after another than a person answers."""
    gaps = _gaps(answers)
    result = []
    for i, answer in enumerate(answers):
        before = i > 0 and answers[i - 1].accepted and gaps[i] < _FASTEST
        after = i + 1 < len(answers) and answers[i + 1].accepted and gaps[i + 1] < _FASTEST
        if answer.accepted and (before or after):
            answer = replace(answer, kind="batch", seconds=SECONDS["batch"])
        result.append(answer)
    return result


def _own_pace(answers: list[_Answer]) -> dict[str, float]:
    """Compare an annotator's gaps between answers with the times in `SECONDS`: the median ratio by kind."""
    ratios: dict[str, list[float]] = defaultdict(list)
    for answer, gap in zip(answers, _gaps(answers), strict=True):
        if _FASTEST <= gap <= _PAUSE:
            ratios[answer.kind].append(gap / answer.seconds)
    return {kind: median(values) for kind, values in ratios.items() if len(values) >= _ENOUGH_GAPS}


def _gaps(answers: list[_Answer]) -> list[float]:
    """Return the seconds between each answer and the one before; infinite for the first."""
    times = [answer.created for answer in answers]
    after = [(late - early).total_seconds() for early, late in pairwise(times)]
    return [math.inf, *after] if times else []
