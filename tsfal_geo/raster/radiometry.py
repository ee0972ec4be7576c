"""Radiometry: the meaning that a file declares for its stored numbers, band by band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from tsfal_geo.errors import RasterError

_NAMELESS = {ColorInterp.undefined, ColorInterp.gray, ColorInterp.alpha, ColorInterp.palette}


@dataclass(frozen=True)
class Radiometry:
    """Declarations of a file, one value for each band.

    Attributes:
        nodata: nodata values, or None.
        scales: a measurement is the stored number times the scale, plus the offset.
        offsets: offsets, in the measurement's unit.
        units: units of the measurements, empty where none is declared.
        names: colours (``red``) or descriptions of the bands, in lower case, empty where none is declared.
    """

    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    units: tuple[str, ...]
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Convert to values that JSON holds."""
        return {
            "nodata": [None if value is None else repr(float(value)) for value in self.nodata],
            "scales": list(self.scales),
            "offsets": list(self.offsets),
            "units": list(self.units),
            "names": list(self.names),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Radiometry:
        """Convert from the values of `to_json`.

        Args:
            values: lists by name.

        Returns:
            The declarations.
        """
        return cls(
            nodata=tuple(None if value is None else float(value) for value in values["nodata"]),
            scales=tuple(float(value) for value in values["scales"]),
            offsets=tuple(float(value) for value in values["offsets"]),
            units=tuple(str(value) for value in values["units"]),
            names=tuple(str(value) for value in values["names"]),
        )


@dataclass(frozen=True)
class Conversion:
    """Conversion of stored numbers to those of another scene: times ``gain``, plus ``shift``.

    Attributes:
        gain: (bands, 1, 1) float64.
        shift: (bands, 1, 1) float64.
    """

    gain: NDArray[np.float64]
    shift: NDArray[np.float64]

    def __call__(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """Convert an image.

        Args:
            image: (bands, height, width).

        Returns:
            The same shape in float32.
        """
        return (image.astype(np.float64) * self.gain + self.shift).astype(np.float32)


def read_radiometry(dataset: DatasetReader) -> Radiometry:
    """Read the declarations of an open raster.

    Args:
        dataset: the raster.

    Returns:
        Its declarations.
    """
    names = [
        (description or "").strip().lower() if kind in _NAMELESS else kind.name.lower()
        for kind, description in zip(dataset.colorinterp, dataset.descriptions, strict=True)
    ]
    return Radiometry(
        nodata=tuple(dataset.nodatavals),
        scales=tuple(dataset.scales),
        offsets=tuple(dataset.offsets),
        units=tuple((unit or "").strip() for unit in dataset.units),
        names=tuple(names),
    )


def conversion(
    path: Path, own: Radiometry | None, reference: Radiometry | None, bands: Sequence[int]
) -> Conversion | None:
    """Find the conversion of a scene's stored numbers to those of a reference scene.

    Args:
        path: the scene's file, for messages.
        own: its declarations; None: not recorded.
        reference: those of the reference scene; None: not recorded.
        bands: 1-based numbers of the bands that are read, in both.

    Returns:
        The conversion; None where the numbers mean the same, or are not recorded for all of these bands.

    Raises:
        RasterError: only one of the two declares scales and offsets, or a scale is 0.
    """
    if own is None or reference is None or max(bands) > min(len(own.scales), len(reference.scales)):
        return None
    gain, shift = [], []
    for band in bands:
        here = own.scales[band - 1], own.offsets[band - 1]
        there = reference.scales[band - 1], reference.offsets[band - 1]
        if here != there:
            if (1.0, 0.0) in (here, there) or 0.0 in (here[0], there[0]):
                raise RasterError(
                    f"{path}: band {band} declares scale {here[0]:g} and offset {here[1]:g}, the other "
                    "scenes "
                    f"{there[0]:g} and {there[1]:g}; expected a declaration in all or in none: declare it "
                    "with "
                    f"`gdal_translate -a_scale … -a_offset …`"
                )
            gain.append(here[0] / there[0])
            shift.append((here[1] - there[1]) / there[0])
        else:
            gain.append(1.0)
            shift.append(0.0)
    if set(gain) == {1.0} and set(shift) == {0.0}:
        return None
    return Conversion(np.array(gain).reshape(-1, 1, 1), np.array(shift).reshape(-1, 1, 1))
