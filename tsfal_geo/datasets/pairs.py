"""Pictures with label pictures: found complete, brought under one stem, resized, checked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsfal_geo.classes import ClassMap
from tsfal_geo.datasets.adapter import Progress, place
from tsfal_geo.datasets.shipped import Shipped
from tsfal_geo.errors import RasterError, UserError
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.label_reader import check_labels


@dataclass(frozen=True)
class Pair:
    """A picture and its labels.

    Attributes:
        name: the scene's.
        image: the picture.
        labels: a picture of class ids, of the same size.
    """

    name: str
    image: Shipped
    labels: Shipped


class Archives:
    """Zips that stay open while many of their members are read."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._opened: dict[Path, zipfile.ZipFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, file: Shipped) -> bytes:
        """A file's bytes.

        Raises:
            UserError: the zip is damaged there.
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


def pairs(images: Mapping[str, Shipped], labels: Mapping[str, Shipped], source: Path) -> list[Pair]:
    """Each picture with its labels, sorted by name.

    Args:
        images: by name.
        labels: by the same names; those of no picture are left.
        source: where all were looked for, for messages.

    Raises:
        UserError: a picture without labels.
    """
    missing = sorted(images.keys() - labels.keys())
    if missing:
        first = images[missing[0]]
        raise UserError(
            f"{source}: {first.name} has no label file ({len(missing)} of {len(images)} pictures have none); "
            "expected one for each, as shipped"
        )
    return [Pair(name, images[name], labels[name]) for name in sorted(images)]


def bring_pairs(
    splits: Mapping[str, Sequence[Pair]], draft: Path, progress: Progress, side: int | None = None
) -> None:
    """Make ``<split>/images/`` and ``<split>/labels/``, each pair under its name.

    Args:
        splits: the pairs of each split.
        draft: the dataset's folder.
        progress: told of the progress.
        side: resize pictures (bilinearly, with antialiasing) and labels (to the nearest pixel) to so many
            pixels a side; None: link or unpack the files as they are.

    Raises:
        UserError: a damaged file.
    """
    total = sum(map(len, splits.values()))
    done = 0
    with Archives() as archives:
        for split, members in splits.items():
            for pair in members:
                progress(done / total, "bringing pictures")
                done += 1
                for file, home in ((pair.image, "images"), (pair.labels, "labels")):
                    goal = draft / split / home / f"{pair.name}{file.name.suffix.lower()}"
                    if side is not None:
                        _resize(archives.read(file), goal.with_suffix(".png"), side, home == "labels", file)
                    elif file.member is None:
                        place(file.path, goal)
                    else:
                        goal.parent.mkdir(parents=True, exist_ok=True)
                        goal.write_bytes(archives.read(file))


def check(draft: Path, splits: Iterable[str], classes: ClassMap, progress: Progress) -> None:
    """Look at every picture's header and every label, so that nothing fails in the middle of a training.

    Raises:
        RasterError, LabelError: a picture that cannot be read, labels of another size or of unknown classes.
    """
    scenes = [scene for split in splits for scene in discover(draft / split, require_labels=True)]
    for number, scene in enumerate(scenes):
        progress(number / len(scenes), "checking labels")
        check_labels(scene, classes)


def _resize(data: bytes, goal: Path, side: int, labels: bool, file: Shipped) -> None:
    goal.parent.mkdir(parents=True, exist_ok=True)
    how = Image.Resampling.NEAREST if labels else Image.Resampling.BILINEAR
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            picture.resize((side, side), how).save(goal)
    except (OSError, SyntaxError, ValueError) as error:
        raise RasterError(f"{file.path}: {file.name} is damaged ({error}); download it again") from None


UPRIGHT = {"rotate90": False, "flip": "horizontal"}
"""Augmentation of pictures that have an up and a down."""

_BLOCK = 8


def scene(shape: tuple[int, int], classes: ClassMap, seed: tuple[int, ...]) -> NDArray[np.uint8]:
    """Class ids (H, W): bands, the last class at the top, the first at the bottom, and blocks of all."""
    rng = np.random.default_rng(seed)
    height, width = shape
    rows = np.arange(height)[:, None] + rng.normal(0, height / 16, width).cumsum()[None] / 8
    bands = np.clip((1 - rows / height) * 3, 0, 2.999).astype(int)
    pick = np.array([0, len(classes) // 2, len(classes) - 1])
    index = pick[bands]
    for number in rng.permutation(len(classes)):
        y, x = int(rng.integers(0, height - _BLOCK)), int(rng.integers(0, width - _BLOCK))
        index[y : y + _BLOCK, x : x + _BLOCK] = number
    return classes.ids[index]


def picture(ids: NDArray[np.uint8], classes: ClassMap, seed: tuple[int, ...]) -> NDArray[np.uint8]:
    """What a camera might see of it: each class's colour with noise, (H, W, 3)."""
    clean = classes.colours[classes.lut_ids_to_index()[ids]].astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 12, clean.shape)
    return np.clip(clean + noise, 0, 255).astype(np.uint8)


def with_void(ids: NDArray[np.uint8], void: int) -> NDArray[np.uint8]:
    """The same with a frame of ``void``, one pixel wide."""
    framed = np.full_like(ids, void)
    framed[1:-1, 1:-1] = ids[1:-1, 1:-1]
    return framed


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture, (H, W) or (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
