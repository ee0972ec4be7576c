"""Synthetic street pictures and their labels, for the fixtures of the adapters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsfal_geo.classes import ClassMap

_BLOCK = 8


def synthetic_ids(shape: tuple[int, int], classes: ClassMap, seed: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw labels: horizontal bands, from the last class at the top to the first, and a block of each class.

    Args:
        shape: (H, W).
        classes: the class map.
        seed: of the drawing.

    Returns:
        (H, W) uint8 class ids.
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    rows = np.arange(height)[:, None] + rng.normal(0, height / 16, width).cumsum()[None] / 8
    bands = np.clip((1 - rows / height) * 3, 0, 2.999).astype(int)
    pick = np.array([0, len(classes) // 2, len(classes) - 1])
    index = pick[bands]
    for number in rng.permutation(len(classes)):
        y, x = int(rng.integers(0, height - _BLOCK)), int(rng.integers(0, width - _BLOCK))
        index[y : y + _BLOCK, x : x + _BLOCK] = number
    return np.asarray(classes.ids[index])


def synthetic_picture(ids: NDArray[np.uint8], classes: ClassMap, seed: tuple[int, ...]) -> NDArray[np.uint8]:
    """Paint labels in the classes' colours, with noise.

    Args:
        ids: (H, W) uint8 class ids.
        classes: the class map.
        seed: of the noise.

    Returns:
        (H, W, 3) uint8.
    """
    clean = classes.colours[classes.lut_ids_to_index()[ids]].astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 12, clean.shape)
    return np.clip(clean + noise, 0, 255).astype(np.uint8)


def with_void(ids: NDArray[np.uint8], void: int) -> NDArray[np.uint8]:
    """Frame labels by one pixel of void.

    Args:
        ids: (H, W) uint8 class ids.
        void: id of the frame.

    Returns:
        (H, W) uint8.
    """
    framed = np.full_like(ids, void)
    framed[1:-1, 1:-1] = ids[1:-1, 1:-1]
    return framed


def save_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture.

    Args:
        path: the file; its folder is made if need be.
        pixels: (H, W) or (H, W, 3) uint8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
