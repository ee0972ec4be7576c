"""Accuracy and area from a stratified random sample: unbiased estimates with confidence intervals.

Every figure is a ratio of two totals, estimated as in Stehman (2014). Where the strata are the map's own
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
"""Half of a 95 % confidence interval, in standard errors."""


@dataclass(frozen=True)
class Value:
    """An estimate, NaN where the sample holds nothing to estimate it from.

    Attributes:
        value: the estimate.
        error: its standard error.
    """

    value: float
    error: float

    @property
    def half(self) -> float:
        """Half of the 95 % confidence interval."""
        return Z95 * self.error

    def scaled(self, factor: float) -> Value:
        """Convert to another unit.

        Args:
            factor: new units to one of the old.
        """
        return Value(self.value * factor, self.error * factor)

    def to_json(self) -> dict[str, float | None]:
        """Give ``value``, ``standard_error``, ``low`` and ``high`` of the 95 % interval; None if unknown."""
        numbers = (self.value, self.error, self.value - self.half, self.value + self.half)
        keys = ("value", "standard_error", "low", "high")
        return {
            key: number if math.isfinite(number) else None for key, number in zip(keys, numbers, strict=True)
        }


@dataclass(frozen=True)
class ClassEstimate:
    """The estimates of one class.

    Attributes:
        name: the class's name.
        users: user's accuracy: of the area that is mapped as the class, the share that is of it.
        producers: producer's accuracy: of the area that is of the class, the share that is mapped as it.
        area: share of the total area that is of the class, by the reference.
        mapped: share of the total area that is mapped as the class, estimated from the sample too.
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
    """The estimates of a map's accuracy and of areas.

    Attributes:
        counts: (C, C) int64 samples, rows the map, columns the reference.
        proportions: (C, C) float64, estimated shares of the total area.
        overall: overall accuracy.
        classes: in the class map's order.
    """

    counts: NDArray[np.int64]
    proportions: NDArray[np.float64]
    overall: Value
    classes: tuple[ClassEstimate, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the values for JSON."""
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

    Attributes:
        sizes: (H,) float64, pixels (or area) of each stratum.
        stratum: (n,) stratum of each answered sample, 0 to H - 1.
        mapped: (n,) class index of the map.
        reference: (n,) class index of the reference.
        counts: (H,) answered samples of each stratum.
        weights: (n,) pixels (or area) that a sample stands for.
    """

    def __init__(
        self,
        sizes: NDArray[np.number] | Sequence[float],
        stratum: NDArray[np.integer],
        mapped: NDArray[np.integer],
        reference: NDArray[np.integer],
        strata: Sequence[str] = (),
    ) -> None:
        """Weight the answers by their strata.

        Args:
            sizes: (H,) pixels (or area) of each stratum.
            stratum: (n,) stratum of each answered sample, 0 to H - 1.
            mapped: (n,) class index of the map.
            reference: (n,) class index of the reference.
            strata: names of the strata, for errors.

        Raises:
            LabelError: a stratum of some size has fewer than two answered samples.
        """
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
        """Estimate the ratio of two totals (Stehman 2014).

        R = Σ w y / Σ w x. Its variance follows from the residuals y − R x, whose spread in stratum h adds
        N_h² s_h² / n_h, over the square of the lower total.

        Args:
            y: (n,) values of the upper total.
            x: (n,) values of the lower one.
        """
        above, below = (float(self.weights @ values.astype(np.float64)) for values in (y, x))
        if below == 0:
            return Value(math.nan, math.nan)
        value = above / below
        residuals = y.astype(np.float64) - value * x.astype(np.float64)
        means = self._sums(residuals) / np.maximum(self.counts, 1)
        spread = self._sums((residuals - means[self.stratum]) ** 2) / np.maximum(self.counts - 1, 1)
        variance = (self.sizes**2 * spread / np.maximum(self.counts, 1)).sum()
        return Value(value, math.sqrt(variance) / below)

    def proportion(self, y: NDArray[np.bool_]) -> Value:
        """Estimate the share of the total area where a condition holds.

        Args:
            y: (n,) bool.
        """
        return self.ratio(y, np.ones(len(self.stratum)))

    def _sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self.stratum, values, minlength=len(self.sizes))


def estimate(sample: Sample, names: Sequence[str]) -> Estimates:
    """Estimate error matrix, accuracies and areas.

    Args:
        sample: the answered sample.
        names: names of the classes, in the order of class indices.

    Returns:
        The estimates.
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
