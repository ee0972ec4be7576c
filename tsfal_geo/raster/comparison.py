"""Comparison of scenes that are read together: order of bands, size of pixels, units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tsfal_geo.raster.ground import metres_per_pixel
from tsfal_geo.raster.scene import Scene

_SIZE_RATIO = 1.5
_COLOURS = {"red", "green", "blue", "nir", "cyan", "magenta", "yellow", "black", "pan", "coastal", "rededge"}


def differences(scenes: Sequence[Scene], reference: Scene, bands: tuple[int, ...] | None) -> list[str]:
    """Find differences that turn the same ground into other numbers.

    Args:
        scenes: scenes to read.
        reference: the scene that they are compared with, such as the first one or one that a model learnt.
        bands: 1-based numbers of the bands that are read; None for all but alpha.

    Returns:
        One line for each kind of difference; it names the first scene and counts the others.
    """
    kinds: tuple[Callable[[Scene, Scene, tuple[int, ...] | None], str | None], ...]
    kinds = (_order, _units, _pixel_size)
    lines = []
    for kind in kinds:
        found = [line for scene in scenes if (line := kind(scene, reference, bands)) is not None]
        if found:
            more = f" ({len(found) - 1} more scenes differ likewise)" if found[1:] else ""
            lines.append(found[0] + more)
    return lines


def _order(scene: Scene, reference: Scene, bands: tuple[int, ...] | None) -> str | None:
    own, other = _declared(scene, bands, "names"), _declared(reference, bands, "names")
    permuted = all(own) and own != other and sorted(own) == sorted(other)
    both = zip(own, other, strict=False)
    if permuted or any(a != b and {a, b} <= _COLOURS for a, b in both):
        return (
            f"{scene.path}: its bands are {', '.join(own)}, those of {reference.path.name} "
            f"{', '.join(other)}; "
            "expected one order: bring them into it with `gdal_translate -b 3 -b 2 -b 1`"
        )
    return None


def _units(scene: Scene, reference: Scene, bands: tuple[int, ...] | None) -> str | None:
    own, other = _declared(scene, bands, "units"), _declared(reference, bands, "units")
    for number, (a, b) in enumerate(zip(own, other, strict=False), 1):
        if a and b and a != b:
            return (
                f"{scene.path}: band {number} is in {a}, that of {reference.path.name} in {b}; expected one "
                "unit: convert it, or declare scale and offset in both"
            )
    return None


def _pixel_size(scene: Scene, reference: Scene, _: tuple[int, ...] | None) -> str | None:
    own, other = metres_per_pixel(scene.grid), metres_per_pixel(reference.grid)
    if own is None or other is None or 1 / _SIZE_RATIO < own / other < _SIZE_RATIO:
        return None
    return (
        f"{scene.path}: its pixels are {own:.3g} m, those of {reference.path.name} {other:.3g} m; a network "
        f"knows things by their size in pixels: resample with `gdalwarp -tr`"
    )


def _declared(scene: Scene, bands: tuple[int, ...] | None, what: str) -> list[str]:
    if scene.radiometry is None:
        return []
    values: tuple[str, ...] = getattr(scene.radiometry, what)
    return [values[band - 1] for band in bands or scene.spectral if band <= len(values)]
