"""Draws of the labelled chips, and of those held out for the error mask decoder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import LabelError
from tsfal_geo.raster import naming
from tsfal_geo.raster.chips import Chip
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene

_DRAWS = 100


def class_counts(
    reader: SceneReader, chips: Sequence[Chip], labels: LabelReader, classes: int
) -> NDArray[np.int64]:
    """Count the valid pixels of each class in each chip, with one chip in memory at a time.

    Label rasters often hold a class outside the flown area. Such pixels are nodata and do not count.

    Args:
        reader: reads the scenes.
        chips: the chips.
        labels: reads their labels.
        classes: number of classes.

    Returns:
        (chips, classes) int64; ignored pixels and nodata are not counted.
    """
    counts = np.zeros((len(chips), classes), dtype=np.int64)
    for row, chip in zip(counts, chips, strict=True):
        mask = labels.read(chip.window)
        if (mask != IGNORE).any():
            row[:] = np.bincount(mask[reader.read(chip.window).valid], minlength=256)[:classes]
    return counts


def draw_labelled(counts: NDArray[np.int64], share: float, seed: int) -> list[int]:
    """Draw chips uniformly, so that every class of the labels is among them.

    A draw that misses a class is repeated. If all repetitions miss one, chips with the missing classes
    replace others, and a warning reports it.

    Args:
        counts: (chips, classes) int64, from `class_counts`.
        share: share of the chips with any label; rounded to chips, at least one.
        seed: of the draw.

    Returns:
        Indices of the drawn chips, ascending.

    Raises:
        LabelError: no chip has a label.
    """
    candidates = np.flatnonzero(counts.sum(axis=1) > 0)
    if not len(candidates):
        raise LabelError(
            f"found no labelled pixel in {len(counts)} chips, expected some; add labels to labels/"
        )
    number = max(1, round(share * len(candidates)))
    return sorted(_draw(counts, candidates, number, np.random.default_rng([seed, 0])))


def draw_held_out(counts: NDArray[np.int64], labelled: Sequence[int], share: float, seed: int) -> list[int]:
    """Draw labelled chips to hold out of the segmenter's training, so that the others hold every class.

    Args:
        counts: (chips, classes) int64, from `class_counts`.
        labelled: indices of the labelled chips.
        share: share of them to hold out.
        seed: of the draw.

    Returns:
        Indices of the held-out chips, ascending; none if no chip would remain, or every chip is needed.
    """
    pool = np.asarray(labelled, dtype=np.int64)
    number = len(pool) - round(share * len(pool))
    if number >= len(pool) or number < 1:
        return []
    kept = _draw(counts, pool, number, np.random.default_rng([seed, 1]))
    return sorted(set(pool.tolist()) - set(kept))


def listed_scenes(path: Path, scenes: Sequence[Scene]) -> set[int]:
    """Read the scenes that a list names, such as the split files of papers.

    A line holds the name of a scene or a path of its picture; the label file may follow. Empty lines do not
    count. Stems are compared by the rules that assign label files to scenes.

    Args:
        path: the list, a text file in UTF-8.
        scenes: scenes to choose from.

    Returns:
        Indices into ``scenes``.

    Raises:
        LabelError: the file is missing or empty, or a line names no scene or a scene without labels.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(
            f"{path}: not readable as a list of scenes ({error}); expected a text file with a name a line"
        ) from None
    if not lines:
        raise LabelError(f"{path}: an empty list; expected the names of labelled scenes, a line each")
    by_name = {scene.name: index for index, scene in enumerate(scenes)}
    by_key: dict[tuple[str, ...], list[int]] = {}
    for index, scene in enumerate(scenes):
        by_key.setdefault(naming.key(scene.path), []).append(index)
    found = set()
    for line in lines:
        picture = PurePosixPath(line if line in by_name else line.split()[0])
        name = next((name for name in (picture.name, picture.stem) if name in by_name), None)
        fitting = [by_name[name]] if name else by_key.get(naming.key(Path(picture.name)), [])
        if len(fitting) != 1:
            raise LabelError(
                f"{path}: '{line}' names {len(fitting) or 'no'} scenes; expected names such as "
                f"{scenes[0].name}, a line each"
            )
        scene = scenes[fitting[0]]
        if scene.labels is None:
            raise LabelError(f"{path}: {scene.path} is listed and has no label file; add it")
        found.add(fitting[0])
    return found


def _draw(
    counts: NDArray[np.int64], pool: NDArray[np.int64], number: int, generator: np.random.Generator
) -> list[int]:
    wanted = counts[pool].sum(axis=0) > 0
    for _ in range(_DRAWS):
        drawn: list[int] = generator.choice(pool, size=number, replace=False).tolist()
        if (counts[drawn].sum(axis=0) > 0)[wanted].all():
            return drawn
    covering = _cover(counts, pool, wanted)
    rest = [index for index in drawn if index not in covering]
    result = covering + rest[: max(0, number - len(covering))]
    warnings.warn(
        f"{_DRAWS} draws of {number} from {len(pool)} chips missed a class; "
        f"{len(covering)} chips were chosen for their classes, {len(result)} are drawn in all",
        stacklevel=3,
    )
    return result


def _cover(counts: NDArray[np.int64], pool: NDArray[np.int64], wanted: NDArray[np.bool_]) -> list[int]:
    """Cover every wanted class by few chips: greedily, by the chip with the most missing classes."""
    missing = wanted.copy()
    chosen: list[int] = []
    while missing.any():
        gains = ((counts[pool] > 0) & missing).sum(axis=1)
        best = int(pool[gains.argmax()])
        chosen.append(best)
        missing &= counts[best] == 0
    return chosen
