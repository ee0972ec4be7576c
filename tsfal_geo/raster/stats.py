"""Normalisation by robust statistics of the training scenes' pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Chip
from tsfal_geo.raster.reader import Patch, SceneReader

_CHIPS = 96
_PIXELS_A_CHIP = 16_384
_LOW, _HIGH = 0.1, 99.9


@dataclass(frozen=True)
class Normalisation:
    """Statistics of the channels: clip to ``low`` … ``high``, subtract ``mean``, divide by ``std``.

    Attributes:
        low: (C,) smallest value of each channel, in the file's units; height is the last channel if used.
        high: (C,) largest value.
        mean: (C,) mean of the clipped values.
        std: (C,) standard deviation of the clipped values.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_dict(self) -> dict[str, list[float]]:
        """Convert to values that JSON holds."""
        return {key: list(values) for key, values in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Normalisation:
        """Convert from the values of `to_dict`.

        Args:
            values: lists of numbers under ``low``, ``high``, ``mean`` and ``std``.

        Returns:
            The statistics.
        """
        return cls(*(tuple(float(v) for v in values[key]) for key in ("low", "high", "mean", "std")))


def compute_normalisation(reader: SceneReader, chips: Sequence[Chip]) -> Normalisation:
    """Compute the statistics of evenly spaced chips, at least one a scene.

    8-bit bands are not clipped. Bands of other types and heights are clipped to their 0.1th and 99.9th
    percentile, so that a few glaring or faulty pixels do not squeeze the others. Only valid pixels count.

    Args:
        reader: reads the scenes.
        chips: chips to sample from.

    Returns:
        The statistics; the same for the same scenes and chips.

    Raises:
        RasterError: the chips of a scene hold no valid pixel.
    """
    samples = [_pixels(patch) for patch in _sampled(reader, chips)]
    values = np.concatenate(samples, axis=1, dtype=np.float64)
    clip = np.full(reader.channels, reader.band_dtype != np.uint8)
    clip[reader.bands :] = True
    low, high = np.percentile(values, (_LOW, _HIGH), axis=1)
    low, high = np.where(clip, low, 0.0), np.where(clip, high, 255.0)
    values = values.clip(low[:, None], high[:, None])
    std = values.std(1)
    return Normalisation(
        _floats(low), _floats(high), _floats(values.mean(1)), _floats(np.where(std > 0, std, 1.0))
    )


def _floats(values: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _sampled(reader: SceneReader, chips: Sequence[Chip]) -> Iterator[Patch]:
    by_scene: dict[int, list[Chip]] = {}
    for chip in chips:
        by_scene.setdefault(chip.scene, []).append(chip)
    for scene, own in by_scene.items():
        count = min(max(round(_CHIPS * len(own) / len(chips)), 1), len(own))
        chosen = [own[(2 * i + 1) * len(own) // (2 * count)] for i in range(count)]
        patches = (patch for chip in chosen if (patch := _read(reader, chip)).valid.any())
        first = next(patches, None) or _first_valid(reader, own)
        if first is None:
            raise RasterError(
                f"{reader.scenes[scene].path} holds nothing but nodata; remove the file, or mend its "
                "nodata value"
            )
        yield first
        yield from patches


def _read(reader: SceneReader, chip: Chip) -> Patch:
    return reader.read(chip.window)


def _first_valid(reader: SceneReader, chips: Sequence[Chip]) -> Patch | None:
    return next((patch for chip in chips if (patch := _read(reader, chip)).valid.any()), None)


def _pixels(patch: Patch) -> NDArray[np.generic]:
    """Evenly spaced valid pixels, (channels, n)."""
    where = np.flatnonzero(patch.valid)
    where = where[:: max(where.size // _PIXELS_A_CHIP, 1)]
    bands = patch.image.reshape(len(patch.image), -1)[:, where]
    if patch.height is None:
        return bands
    return np.concatenate([bands.astype(np.float64), patch.height.reshape(1, -1)[:, where]])
