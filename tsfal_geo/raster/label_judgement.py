"""Judgement on the labels of a folder: does the class map fit the pixels, or was it inferred from a mask?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.label_reader import LabelCounts, check_labels
from tsfal_geo.raster.scene import Scene

_LARGE_SHARE = 0.2
_MANY_CLASSES = 40


def judge_labels(folder: Path, scenes: Sequence[Scene], classes: ClassMap, *, declared: bool) -> list[str]:
    """Check the label files of scenes, and whether their pixels fit the class map as a whole.

    Args:
        folder: the scenes' folder, for messages.
        scenes: scenes with labels.
        classes: the class map.
        declared: True if the configuration or the label files name the classes.

    Returns:
        What a person should look at, one line each.

    Raises:
        LabelError: a file does not fit, as for `check_labels`; or the pixels hold fewer than two classes and
            nobody said that these are the classes.
    """
    counts = LabelCounts(np.zeros(len(classes), np.int64), Counter())
    for scene in scenes:
        counts += check_labels(scene, classes)
    return judge_counts(folder, classes, counts, declared=declared)


def judge_counts(folder: Path, classes: ClassMap, counts: LabelCounts, *, declared: bool) -> list[str]:
    """Judge the pixels of all label files together.

    Args:
        folder: the scenes' folder, for messages.
        classes: the class map.
        counts: the pixels of all files.
        declared: True if the configuration or the label files name the classes.

    Returns:
        What a person should look at, one line each.

    Raises:
        LabelError: the pixels hold fewer than two classes, and nobody said that these are the classes.
    """
    total = int(counts.classes.sum()) + counts.ignored.total()
    if total == 0:
        return []
    occurring = [name for name, n in zip(classes.names, counts.classes, strict=True) if n]
    ignored = [f"{_written(value)} ({n / total:.0%})" for value, n in counts.ignored.most_common(3)]
    mend = "label another class, too"
    if counts.ignored:
        meant = counts.ignored.most_common(1)[0][0]
        mend = f"if {_written(meant)} is a class, say so with --map {_key(meant)}=CLASS"
    beside = f" beside {', '.join(ignored)}, which mean no class" if ignored else ""
    if len(occurring) < 2:
        found = f"one class only, {occurring[0]}" if occurring else "no class at all"
        text = f"{folder}: the labels hold {found}{beside}; expected two or more: {mend}"
        if declared or (not occurring and len(counts.ignored) == 1):
            return [text]
        raise LabelError(
            f"{text}; and name the others likewise, such as --map 0=background, or give `classes` in the "
            "configuration"
        )
    if declared:
        return []
    lines = [
        f"{folder}: {_written(value)} covers {n / total:.0%} of the labels and means no class; if it is "
        "one, say "
        f"so with --map {_key(value)}=CLASS, else with --map {_key(value)}=ignore"
        for value, n in counts.ignored.most_common()
        if n >= _LARGE_SHARE * total
    ]
    if len(classes) > _MANY_CLASSES:
        lines.append(
            f"{folder}: the labels hold {len(classes)} different ids, expected classes; if they are a soft "
            "mask or "
            "instances, say what the values mean, such as --map 0-127=background --map 128-255=building"
        )
    return lines


def _key(value: tuple[int, ...]) -> str:
    return ",".join(map(str, value))


def _written(value: tuple[int, ...]) -> str:
    return f"id {value[0]}" if len(value) == 1 else f"colour {value}"
