"""Rules on names: they assign surface models and label files to orthophotos."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

IMAGE_SUFFIXES = (".tif", ".tiff", ".jpg", ".jpeg", ".png", ".jp2", ".vrt")
LABEL_SUFFIXES = (*IMAGE_SUFFIXES, ".bmp")
IMAGE_FOLDERS = ("images", "top")
DSM_FOLDERS = ("dsm",)
LABEL_FOLDERS = ("labels", "gts")

IMAGE_WORDS = frozenset(
    [
        "image",
        "images",
        "img",
        "ortho",
        "orthophoto",
        "top",
        "mosaic",
        "rgb",
        "rgbi",
        "rgbir",
        "irrg",
        "irrgb",
        "cir",
        "nirrg",
        "sat",
        "aerial",
        "leftimg8bit",
    ]
)
DSM_WORDS = frozenset(["dsm", "ndsm", "matching", "height"])
LABEL_WORDS = frozenset(
    [
        "gt",
        "gts",
        "label",
        "labels",
        "labelled",
        "mask",
        "masks",
        "seg",
        "annotation",
        "truth",
        "groundtruth",
        "noboundary",
        "gtfine",
        "labelids",
        "labeltrainids",
    ]
)
_WORDS = IMAGE_WORDS | DSM_WORDS | LABEL_WORDS

RULES = f"""\
Orthophotos ({" ".join("*" + s for s in IMAGE_SUFFIXES)}) are in images/ or top/, else in the folder itself;
DSMs in dsm/; labels (also *.bmp) in labels/ or gts/. Without such a folder, files beside the orthophotos
are DSMs or labels where a word of their name says so ("dsm", "gt", "label", "mask" …).
A DSM or label file belongs to the orthophoto of the same stem (a.tif, dsm/a.tif, labels/a.png); else to
the one whose stem is the same but for case, for zeros in front of numbers, and for these words:
{textwrap.fill(" ".join(sorted(_WORDS)), 104, initial_indent="  ", subsequent_indent="  ")}
One scene each: top_mosaic_09cm_area1.tif, dsm_09cm_matching_area1.tif, top_mosaic_09cm_area1_noBoundary.tif;
001_img.jpg, 001_gt.bmp; tile_2_RGB.tif, tile_02_label.tif."""


@dataclass
class Matches:
    """Result of `match`.

    Attributes:
        found: orthophoto → the file that belongs to it.
        several: orthophoto → files of which each could belong to it.
        orphans: files that belong to no orthophoto.
    """

    found: dict[Path, Path] = field(default_factory=dict)
    several: dict[Path, list[Path]] = field(default_factory=dict)
    orphans: list[Path] = field(default_factory=list)


def key(path: Path) -> tuple[str, ...]:
    """Reduce a file name to the words that distinguish scenes.

    Args:
        path: a file.

    Returns:
        Words of the stem in lower case, without the words on roles and without leading zeros.
    """
    words = (word for word in re.split(r"[\W_]+", path.stem.lower()) if word and word not in _WORDS)
    return tuple(word.lstrip("0") or "0" if word.isdigit() else word for word in words)


def role(path: Path) -> str:
    """Tell the role of a file by its name.

    Args:
        path: a file.

    Returns:
        ``dsm``, ``labels`` or ``image``.
    """
    words = set(re.split(r"[\W_]+", path.stem.lower()))
    if words & LABEL_WORDS or path.suffix.lower() not in IMAGE_SUFFIXES:
        return "labels"
    return "dsm" if words & DSM_WORDS else "image"


def match(images: Sequence[Path], others: Sequence[Path]) -> Matches:
    """Assign files to orthophotos: by the same stem, else by the same `key`.

    Args:
        images: orthophotos.
        others: surface models, or label files.

    Returns:
        The assignments, and the files that fit several orthophotos or none.
    """
    result = Matches()
    candidates: dict[Path, list[Path]] = {}
    stems = {image.stem: image for image in images}
    rest = []
    for other in others:
        if other.stem in stems:
            candidates.setdefault(stems[other.stem], []).append(other)
        else:
            rest.append(other)
    matched = set(candidates)
    by_key: dict[tuple[str, ...], list[Path]] = {}
    for image in images:
        if image not in matched:
            by_key.setdefault(key(image), []).append(image)
    for other in rest:
        fitting = by_key.get(key(other), [])
        for image in fitting:
            candidates.setdefault(image, []).append(other)
        if not fitting:
            result.orphans.append(other)
    for image, files in candidates.items():
        if len(files) == 1:
            result.found[image] = files[0]
        else:
            result.several[image] = files
    return result
