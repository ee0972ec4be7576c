"""Pairs of pictures and label pictures: matched, written under one stem, resized, checked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from tsfal_geo.classes import ClassMap
from tsfal_geo.datasets.adapter import Progress, link_file
from tsfal_geo.datasets.shipped import ShippedFile
from tsfal_geo.errors import RasterError, UserError
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.label_reader import check_labels

UPRIGHT_AUGMENTATION = {"rotate90": False, "flip": "horizontal"}
"""Augmentation of pictures that have an up and a down."""


@dataclass(frozen=True)
class Pair:
    """A picture and its labels.

    Attributes:
        name: of the scene.
        image: the picture.
        labels: picture of class ids, of the same size.
    """

    name: str
    image: ShippedFile
    labels: ShippedFile


class Archives:
    """Open zips, for reading many members one after the other."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._opened: dict[Path, zipfile.ZipFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, file: ShippedFile) -> bytes:
        """Read a shipped file.

        Args:
            file: a plain file, or a member of a zip.

        Returns:
            Its bytes.

        Raises:
            UserError: the zip is damaged.
        """
        if file.member is None:
            return file.path.read_bytes()
        try:
            if file.path not in self._opened:
                self._opened[file.path] = self._stack.enter_context(zipfile.ZipFile(file.path))
            return self._opened[file.path].read(file.member)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise UserError(
                f"{file.path}: {file.member} cannot be unpacked ({error}); download it again"
            ) from None


def match_pairs(
    images: Mapping[str, ShippedFile], labels: Mapping[str, ShippedFile], source: Path
) -> list[Pair]:
    """Match pictures and labels by name.

    Args:
        images: pictures by name.
        labels: labels by name; labels without a picture are left out.
        source: the source folder, for messages.

    Returns:
        The pairs, sorted by name.

    Raises:
        UserError: a picture has no labels.
    """
    missing = sorted(images.keys() - labels.keys())
    if missing:
        first = images[missing[0]]
        raise UserError(
            f"{source}: {first.name} has no label file ({len(missing)} of {len(images)} pictures have none); "
            "expected one for each, as shipped"
        )
    return [Pair(name, images[name], labels[name]) for name in sorted(images)]


def write_pairs(
    splits: Mapping[str, Sequence[Pair]], draft: Path, progress: Progress, side: int | None = None
) -> None:
    """Make ``<split>/images/`` and ``<split>/labels/``, each pair under its name.

    Args:
        splits: the pairs of each split.
        draft: folder of the dataset.
        progress: receives the progress.
        side: pixels a side to resize to: pictures bilinearly with antialiasing, labels by the nearest pixel;
            None to link or extract the files unchanged.

    Raises:
        UserError: a file is damaged.
    """
    total = sum(map(len, splits.values()))
    done = 0
    with Archives() as archives:
        for split, members in splits.items():
            for pair in members:
                progress(done / total, "linking pictures")
                done += 1
                for file, home in ((pair.image, "images"), (pair.labels, "labels")):
                    goal = draft / split / home / f"{pair.name}{file.name.suffix.lower()}"
                    if side is not None:
                        _resize(archives.read(file), goal.with_suffix(".png"), side, home == "labels", file)
                    elif file.member is None:
                        link_file(file.path, goal)
                    else:
                        goal.parent.mkdir(parents=True, exist_ok=True)
                        goal.write_bytes(archives.read(file))


def check_pairs(draft: Path, splits: Iterable[str], classes: ClassMap, progress: Progress) -> None:
    """Check every picture's header and all labels, so that no file fails in the middle of a training.

    Args:
        draft: folder of the dataset.
        splits: names of the splits.
        classes: the class map.
        progress: receives the progress.

    Raises:
        RasterError: a picture cannot be read.
        LabelError: labels have another size, or hold values out of the class map.
    """
    scenes = [scene for split in splits for scene in discover(draft / split, require_labels=True)]
    for number, scene in enumerate(scenes):
        progress(number / len(scenes), "checking labels")
        check_labels(scene, classes)


def _resize(data: bytes, goal: Path, side: int, labels: bool, file: ShippedFile) -> None:
    goal.parent.mkdir(parents=True, exist_ok=True)
    how = Image.Resampling.NEAREST if labels else Image.Resampling.BILINEAR
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            picture.resize((side, side), how).save(goal)
    except (OSError, SyntaxError, ValueError) as error:
        raise RasterError(f"{file.path}: {file.name} is damaged ({error}); download it again") from None
