"""Accuracy and area from a stratified random sample: unbiased estimates with confidence intervals.

Every figure is a ratio of two totals, estimated as in Stehman (2014); where the strata are the map's own
classes, these are the estimators of Olofsson et al. (2014). No finite population correction is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import confusion_matrix
from tsfal_geo.errors import LabelError

Z95 = 1.959963984540054
"""Half of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class Value:
    """An estimate and its standard error; both NaN where nothing can be said."""

    value: float
    error: float

    @property
    def half(self) -> float:
        """Half the width of the 95 % confidence interval."""
        return Z95 * self.error

    def scaled(self, factor: float) -> Value:
        """In another unit."""
        return Value(self.value * factor, self.error * factor)

    def to_json(self) -> dict[str, float | None]:
        """``value``, ``standard_error``, ``low`` and ``high`` of the 95 % interval; null where unknown."""
        numbers = (self.value, self.error, self.value - self.half, self.value + self.half)
        keys = ("value", "standard_error", "low", "high")
        return {
            key: number if math.isfinite(number) else None for key, number in zip(keys, numbers, strict=True)
        }


@dataclass(frozen=True)
class ClassEstimate:
    """One class.

    Attributes:
        name: the class's name.
        users: share of what is mapped as the class that is of the class.
        producers: share of the class that is mapped as it.
        area: share of the whole area that is of the class, by the reference.
        mapped: share of the sample frame that the map gives to the class, estimated likewise.
        iou: intersection over union of map and truth.
        f1: harmonic mean of user's and producer's accuracy.
    """

    name: str
    users: Value
    producers: Value
    area: Value
    mapped: Value
    iou: Value
    f1: Value


@dataclass(frozen=True)
class Estimates:
    """What a reference sample says of a map.

    Attributes:
        counts: (C, C) samples, rows the map, columns the reference.
        proportions: (C, C) estimated shares of the area.
        overall: overall accuracy.
        classes: in the class map's order.
    """

    counts: NDArray[np.int64]
    proportions: NDArray[np.float64]
    overall: Value
    classes: tuple[ClassEstimate, ...]

    def to_json(self) -> dict[str, Any]:
        """Values for JSON."""
        keys = ("users", "producers", "area", "mapped", "iou", "f1")
        return {
            "samples": int(self.counts.sum()),
            "counts": self.counts.tolist(),
            "proportions": self.proportions.tolist(),
            "overall": self.overall.to_json(),
            "classes": [
                {"name": item.name, **{key: getattr(item, key).to_json() for key in keys}}
                for item in self.classes
            ],
        }


class Sample:
    """A stratified random sample with its answers.

    Args:
        sizes: (H,) pixels (or area) of each stratum.
        stratum: (n,) stratum of each answered sample, 0 to H - 1.
        mapped: (n,) class index that the map has there.
        reference: (n,) class index that it is.
        strata: names of the strata, for errors.

    Raises:
        LabelError: a stratum of some size with fewer than two answered samples.
    """

    def __init__(
        self,
        sizes: NDArray[np.number] | Sequence[float],
        stratum: NDArray[np.integer],
        mapped: NDArray[np.integer],
        reference: NDArray[np.integer],
        strata: Sequence[str] = (),
    ) -> None:
        self.sizes = np.asarray(sizes, np.float64)
        self.stratum, self.mapped, self.reference = map(np.asarray, (stratum, mapped, reference))
        self.counts = np.bincount(self.stratum, minlength=len(self.sizes))
        self.weights = (self.sizes / np.maximum(self.counts, 1))[self.stratum]
        for index in np.flatnonzero((self.sizes > 0) & (self.counts < 2)).tolist():
            name = strata[index] if strata else str(index)
            raise LabelError(
                f"stratum '{name}' has {self.counts[index]} answered samples, expected at least 2; label "
                "more of the sample"
            )

    def ratio(self, y: NDArray[np.number | np.bool_], x: NDArray[np.number | np.bool_]) -> Value:
        """Total of ``y`` over total of ``x``, (n,) each."""
        above, below = (float(self.weights @ values.astype(np.float64)) for values in (y, x))
        if below == 0:
            return Value(math.nan, math.nan)
        value = above / below
        rest = y.astype(np.float64) - value * x.astype(np.float64)
        means = self._sums(rest) / np.maximum(self.counts, 1)
        spread = self._sums((rest - means[self.stratum]) ** 2) / np.maximum(self.counts - 1, 1)
        variance = (self.sizes**2 * spread / np.maximum(self.counts, 1)).sum()
        return Value(value, math.sqrt(variance) / below)

    def proportion(self, y: NDArray[np.bool_]) -> Value:
        """Share of the area where ``y``, (n,) bool, holds."""
        return self.ratio(y, np.ones(len(self.stratum)))

    def _sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self.stratum, values, minlength=len(self.sizes))


def estimate(sample: Sample, names: Sequence[str]) -> Estimates:
    """Error matrix, accuracies and areas.

    Args:
        sample: the answered sample.
        names: the classes', in the order of class indices.
    """
    count = len(names)
    pairs = sample.mapped * count + sample.reference
    right = sample.mapped == sample.reference
    return Estimates(
        counts=confusion_matrix(sample.mapped, sample.reference, count),
        proportions=np.bincount(pairs, sample.weights / sample.sizes.sum(), minlength=count**2).reshape(
            count, count
        ),
        overall=sample.proportion(right),
        classes=tuple(_of_class(sample, index, name, right) for index, name in enumerate(names)),
    )


def _of_class(sample: Sample, index: int, name: str, right: NDArray[np.bool_]) -> ClassEstimate:
    mapped, real = sample.mapped == index, sample.reference == index
    both = mapped & right
    return ClassEstimate(
        name=name,
        users=sample.ratio(both, mapped),
        producers=sample.ratio(both, real),
        area=sample.proportion(real),
        mapped=sample.proportion(mapped),
        iou=sample.ratio(both, mapped | real),
        f1=sample.ratio(2 * both.astype(np.int64), mapped.astype(np.int64) + real),
    )
