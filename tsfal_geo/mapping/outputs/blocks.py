"""Maps in blocks, each predicted once: by this process, by one of several shards, or by a cluster's workers.

A block is some thousands of pixels a side, aligned with the map's tiles. A worker reads its pixels and the
windows around it, predicts them, and writes one file, whole or not at all. The file marks the block as done,
so that a lost worker costs its block and a run that was killed continues. When all blocks are done, they are
assembled to the scene's rasters.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from tsfal_geo.atomic import replace_file
from tsfal_geo.inference.backends import PYTORCH
from tsfal_geo.inference.network import Network, open_network
from tsfal_geo.mapping.compatibility import open_scenes
from tsfal_geo.mapping.outputs.rasters import (
    CLASSES,
    SceneMap,
    layer_writer,
    map_paths,
    map_tags,
    raster_layers,
    write_styles,
)
from tsfal_geo.mapping.overlay import LabelOverlay, apply_overlay
from tsfal_geo.mapping.scene import Settings, map_scene
from tsfal_geo.mapping.windowed import Block, LayerRows
from tsfal_geo.models.io import WEIGHTS_NAME
from tsfal_geo.raster.radiometry import Radiometry
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.write import BLOCK, class_writer

SIDE = 4096
"""Pixels a side of a block, a multiple of the side of written rasters' tiles."""


@dataclass(frozen=True)
class MappingJob:
    """The prediction of one scene in blocks; small, so that it can be sent to other processes.

    Attributes:
        model: folder of the model, under a path that is valid in every process.
        scene: the scene.
        dtype: NumPy name of the training scenes' pixel type.
        out: folder of the maps.
        settings: of the prediction, with the layers to write.
        augment: whether to average over flips and quarter turns.
        threads: threads of the network in a process; None: PyTorch's choice.
        side: pixels a side of a block, a multiple of ``BLOCK``.
        trained: declarations of the training scenes' numbers; None: not recorded.
        backend: runtime of the network, of `choose_backend`.
    """

    model: Path
    scene: Scene
    dtype: str
    out: Path
    settings: Settings
    augment: bool = False
    threads: int | None = None
    side: int = SIDE
    trained: Radiometry | None = None
    backend: str = PYTORCH

    def __post_init__(self) -> None:
        if self.side % BLOCK:
            raise ValueError(f"blocks of {self.side} pixels, expected a multiple of {BLOCK}")

    @property
    def folder(self) -> Path:
        """The folder of finished blocks; another model, scene or setting has another one."""
        weights, source = (self.model / WEIGHTS_NAME), self.scene.path
        inputs = {
            "settings": {**asdict(self.settings), "batch": None},
            "augment": self.augment,
            "backend": self.backend,
            "side": self.side,
            "grid": [self.scene.shape, list(self.scene.grid.affine)],
            "area": self.scene.area.hex() if self.scene.area else None,
            "files": [[str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for p in (weights, source)],
        }
        digest = hashlib.blake2b(json.dumps(inputs).encode(), digest_size=6).hexdigest()
        return self.out / f".{self.scene.name}-{digest}"

    def blocks(self) -> list[Block]:
        """List the scene's blocks, row by row."""
        height, width = self.scene.shape
        return [
            Block(y, x, min(y + self.side, height), min(x + self.side, width))
            for y in range(0, height, self.side)
            for x in range(0, width, self.side)
        ]

    def path(self, block: Block) -> Path:
        """Name the file of a finished block.

        Args:
            block: of `blocks`.
        """
        return self.folder / f"{block.y0}-{block.x0}.npz"

    def open_blocks(self) -> list[Block]:
        """List the blocks that have no file yet."""
        return [block for block in self.blocks() if not self.path(block).is_file()]


def predict_block(job: MappingJob, block: Block) -> int:
    """Predict a block and write its file, unless the file exists.

    Args:
        job: the scene's job.
        block: of the job's blocks.

    Returns:
        Size of the file in bytes.

    Raises:
        RasterError: the scene cannot be read, or is not as the training scenes.
        WeightsError: the model is missing or damaged.
    """
    path = job.path(block)
    if not path.is_file():
        network, reader = _opened(job)
        layers = _predict(job, block, network, reader)
        with replace_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **layers)
    return path.stat().st_size


def run_local(job: MappingJob, shard: int = 0, shards: int = 1) -> Iterator[Block]:
    """Predict a shard of a job's blocks in this process.

    Args:
        job: the scene's job.
        shard: number of the shard, from 0.
        shards: number of shards; each takes every ``shards``-th block.

    Yields:
        Each block, once it has its file.

    Raises:
        UserError: as `predict_block`.
    """
    for index, block in enumerate(job.blocks()):
        if index % shards == shard:
            predict_block(job, block)
            yield block


def assemble(job: MappingJob, overlay: LabelOverlay | None = None) -> SceneMap | None:
    """Assemble a scene's rasters from its blocks, and remove these.

    Several processes may call this at once; one of them assembles. The overlay is applied here, not to the
    blocks, so that a label which an annotator adds meanwhile costs no block.

    Args:
        job: the scene's job.
        overlay: labels and votes that replace the prediction; None: the prediction alone.

    Returns:
        The scene's files; None while blocks are missing.

    Raises:
        RasterError: the rasters cannot be written.
    """
    files = map_paths(job.out, job.scene, job.settings.layers)
    if job.open_blocks():
        return None
    lock = job.out / f".{job.scene.name}.lock"
    with FileLock(lock):
        if job.folder.is_dir():
            _write(job, files, overlay)
            shutil.rmtree(job.folder)
    lock.unlink(missing_ok=True)
    return files


def _write(job: MappingJob, files: SceneMap, overlay: LabelOverlay | None) -> None:
    network, _ = _opened(job)
    grid = job.scene.grid
    with ExitStack() as stack:
        writers = {
            CLASSES: stack.enter_context(
                class_writer(files.classes, grid, network.classes, tags=map_tags(network, job.settings))
            )
        }
        for layer, path in files.layers.items():
            writer = layer_writer(path, job.scene, layer, network.classes)
            writers[layer] = stack.enter_context(writer)
        for block in job.blocks():
            with np.load(job.path(block), allow_pickle=False) as stored:
                layers = {layer: stored[layer] for layer in writers}
            if overlay is not None:
                layers = apply_overlay(layers, overlay, block.y0, block.x0)
            for layer, writer in writers.items():
                writer.write(block.y0, block.x0, layers[layer])
    write_styles(files)


def _predict(
    job: MappingJob, block: Block, network: Network, reader: SceneReader
) -> dict[str, NDArray[np.uint8]]:
    height, width = block.y1 - block.y0, block.x1 - block.x0
    layers: dict[str, NDArray[np.uint8]] = {}
    names = (CLASSES, *job.settings.layers)

    def collect(rows: LayerRows) -> None:
        y = rows.y - block.y0
        for layer, values in raster_layers(rows, names, network, job.settings).items():
            if layer not in layers:
                layers[layer] = np.empty((*values.shape[:-2], height, width), np.uint8)
            layers[layer][..., y : y + values.shape[-2], :] = values

    map_scene(reader, 0, network, job.settings, collect, block=block)
    return layers


@lru_cache(maxsize=1)
def _opened(job: MappingJob) -> tuple[Network, SceneReader]:
    errors = "error_mask" in job.settings.layers
    changed = (job.model / WEIGHTS_NAME).stat().st_mtime_ns
    network = _network(job.model, changed, errors, job.augment, job.backend, job.settings.window, job.threads)
    return network, open_scenes([job.scene], network.card, job.dtype, job.trained)


@lru_cache(maxsize=1)
def _network(
    model: Path,
    changed: int,
    errors: bool,
    augment: bool,
    backend: str,
    window: int | None,
    threads: int | None,
) -> Network:
    """Open the network once for the jobs of all scenes, since a conversion takes seconds."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    return open_network(model, errors=errors, augment=augment, backend=backend, window=window)
