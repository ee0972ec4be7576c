"""Cells of all scenes on disk: 64 components of the frozen features in 16 bits, 8 bytes a pixel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.instant.basis import COMPONENTS, Basis
from tsfal_geo.instant.blocks import blocks
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import CELL

if TYPE_CHECKING:
    from tsfal_geo.instant.extract import FeatureExtractor

_INDEX, _BASIS = "cells.json", "basis.npz"
_BYTES = 2

Array = NDArray[Any]


class CellCache:
    """The cells of a workspace's scenes, memory-mapped, in a folder that may be deleted at any time.

    A scene's file is used again as long as the scene's file and the network that made it stay the same;
    otherwise it is made anew.

    Args:
        folder: of the cache; made where it does not exist.
        key: values that the features depend on: encoder, weights, normalisation.
        scenes: of the workspace.
        basis: of the components, where another cache of the same network has one; None: the cache's own.

    Attributes:
        basis: of the components; None before `fill`.
    """

    def __init__(self, folder: Path, key: str, scenes: Sequence[Scene], basis: Basis | None = None) -> None:
        self._folder, self._scenes = folder, tuple(scenes)
        self._key = key if basis is None else f"{key} {basis.digest()}"
        self._index: dict[str, Any] = self._read_index()
        self.basis: Basis | None = basis or self._read_basis()

    def missing(self) -> list[int]:
        """Return the positions of the scenes whose cells are not there, or are those of another file."""
        if self.basis is None:
            return list(range(len(self._scenes)))
        known = self._index["scenes"]
        return [
            i
            for i, scene in enumerate(self._scenes)
            if known.get(scene.name) != _fingerprint(scene) or not self._path(scene).is_file()
        ]

    def fill(self, extractor: FeatureExtractor, tell: Callable[[float], None]) -> None:
        """Compute the cells that are missing.

        Args:
            extractor: of the network and the scenes that the cache is for.
            tell: takes the share that is done, 0 to 1.

        Raises:
            WorkspaceError: the disk has no room for the cells.
        """
        missing = self.missing()
        if not missing:
            return
        self._check_room(missing)
        self._folder.mkdir(parents=True, exist_ok=True)
        windows = [
            w for i, s in enumerate(self._scenes) for w in blocks(i, s.height, s.width) if i in set(missing)
        ]
        if self.basis is None:
            self.basis = extractor.basis(windows)
            self._write_basis(self.basis)
        total, done = sum(w.height * w.width for w in windows), 0
        for i in missing:
            scene = self._scenes[i]
            with replace_file(self._path(scene)) as temporary:
                cells = np.lib.format.open_memmap(
                    temporary, mode="w+", dtype=np.float16, shape=(*cell_shape(scene), self.components)
                )
                for window in blocks(i, scene.height, scene.width):
                    features, valid = extractor.features(window)
                    projected = self.basis.project(features.double()).numpy()
                    projected[~valid] = np.nan
                    y, x = window.y // CELL, window.x // CELL
                    # Components beyond half precision's range do not occur: features are standardised.
                    cells[y : y + valid.shape[0], x : x + valid.shape[1]] = projected
                    done += window.height * window.width
                    tell(done / total)
                cells.flush()
                del cells
            self._index["scenes"][scene.name] = _fingerprint(scene)
            write_text(self._folder / _INDEX, json.dumps(self._index))

    def scene(self, position: int) -> NDArray[np.float16]:
        """Return a scene's cells.

        Args:
            position: of the scene.

        Returns:
            (h, w, K) float16, memory-mapped; NaN where a cell has no data.
        """
        cells: NDArray[np.float16] = np.load(self._path(self._scenes[position]), mmap_mode="r")
        return cells

    def _path(self, scene: Scene) -> Path:
        return self._folder / f"{scene.name}.npy"

    @property
    def components(self) -> int:
        """Number of components, K; there is a basis."""
        assert self.basis is not None
        return int(self.basis.vectors.shape[1])

    def _check_room(self, missing: Sequence[int]) -> None:
        pixels = sum(self._scenes[i].height * self._scenes[i].width for i in missing)
        needed = pixels // CELL**2 * COMPONENTS * _BYTES
        parent = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        free = shutil.disk_usage(parent).free
        if needed > 0.9 * free:
            raise WorkspaceError(
                f"{self._folder}: the features of the scenes need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB "
                "are free; free some, or put the workspace on a larger disk"
            )

    def _read_index(self) -> dict[str, Any]:
        try:
            index = json.loads((self._folder / _INDEX).read_text(encoding="utf-8"))
            if index["key"] == self._key and isinstance(index["scenes"], dict):
                return dict(index)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return {"key": self._key, "scenes": {}}

    def _read_basis(self) -> Basis | None:
        if not self._index["scenes"]:
            return None
        try:
            with np.load(self._folder / _BASIS) as stored:
                return Basis(stored["mean"], stored["deviation"], stored["vectors"])
        except (OSError, ValueError, KeyError):
            self._index["scenes"] = {}
            return None

    def _write_basis(self, basis: Basis) -> None:
        with replace_file(self._folder / _BASIS) as temporary, temporary.open("wb") as file:
            np.savez(file, mean=basis.mean, deviation=basis.deviation, vectors=basis.vectors)


def cell_shape(scene: Scene) -> tuple[int, int]:
    """Return rows and columns of a scene's cells."""
    return -(-scene.height // CELL), -(-scene.width // CELL)


def _fingerprint(scene: Scene) -> list[int]:
    files = [scene.path, *([scene.dsm] if scene.dsm else [])]
    stats = [path.stat() for path in files]
    return [scene.height, scene.width, *(v for stat in stats for v in (stat.st_size, stat.st_mtime_ns))]
