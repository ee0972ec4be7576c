"""The cells of a workspace's scenes: opened from the cache, computed where they are missing, and labelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import Cancelled, LabelError
from tsfal_geo.instant.blocks import BLOCK
from tsfal_geo.instant.cells import CellCache, cell_shape
from tsfal_geo.instant.classifier import LabelledCells
from tsfal_geo.instant.labels import answers_of, label_cells
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.context import RoundContext

if TYPE_CHECKING:
    from tsfal_geo.models.segmenter import Segmenter

_SAMPLE = 20_000


@dataclass(frozen=True)
class CachedCells:
    """The cells of a workspace's scenes.

    Attributes:
        cache: the cells of the training scenes, all there.
        sample: (m, K) float32, components of cells drawn from all training scenes.
    """

    cache: CellCache
    sample: NDArray[np.float32]


def open_cells(context: RoundContext, number: int, segmenter: Segmenter | None = None) -> CachedCells:
    """Open the cells; only where some are missing, a network is needed, which takes seconds to build.

    Args:
        context: the workspace.
        number: of the round, which draws the sample.
        segmenter: the network, where there is one already.
    """
    inputs, config = context.inputs, context.config
    cache = CellCache(context.workspace.features, cache_key(context), inputs.scenes)
    if cache.missing():
        fill_cells(context, cache, segmenter or network_of(context), inputs.reader, "reading features")
    return CachedCells(cache, _sample(cache, inputs.scenes, config.train.seed + number))


def tuned_cells(context: RoundContext, number: int, stop: Callable[[], bool]) -> CachedCells | None:
    """Compute the cells of the network that a round trained; minutes, where they are not cached.

    Args:
        context: the workspace.
        number: of the round.
        stop: looked at after each block.

    Returns:
        The cells; None where the round's map is that of the frozen encoder.

    Raises:
        Cancelled: asked to stop; what was computed is kept.
    """
    inputs, workspace = context.inputs, context.workspace
    if workspace.metrics(number).get("network") in (None, "instant"):
        return None
    from tsfal_geo.models.io import WEIGHTS_NAME, load_model

    folder = workspace.round_dir(number)
    stat = (folder / WEIGHTS_NAME).stat()
    key = f"{cache_key(context)} {stat.st_size} {stat.st_mtime_ns}"
    cache = CellCache(workspace.features / "tuned", key, inputs.scenes)
    if cache.missing():
        from tsfal_geo.instant.extract import FeatureExtractor

        def tell(_share: float) -> None:
            if stop():
                raise Cancelled

        segmenter, _ = load_model(folder)
        cache.fill(FeatureExtractor(segmenter, inputs.normalisation, inputs.reader), tell)
    return CachedCells(cache, _sample(cache, inputs.scenes, context.config.train.seed + number + 1))


def network_of(context: RoundContext) -> Segmenter:
    """Build the network whose encoder gives the features; its head is random.

    Args:
        context: the workspace.
    """
    # The encoders' packages take seconds to import.
    from tsfal_geo.models.start import build_network

    config, inputs = context.config, context.inputs
    return build_network(config.model, inputs.reader.channels, inputs.classes.names, config.train.seed)


def _sample(cache: CellCache, scenes: tuple[Scene, ...], seed: int) -> NDArray[np.float32]:
    """Draw cells from all scenes, from each as many as its size says, (n, K)."""
    rng = np.random.default_rng(seed)
    total = sum(np.prod(cell_shape(scene)) for scene in scenes)
    parts = []
    for position in range(len(scenes)):
        cells = cache.scene(position)
        flat = cells.reshape(-1, cells.shape[-1])
        count = max(1, round(_SAMPLE * len(flat) / total))
        rows = np.sort(rng.choice(len(flat), min(count, len(flat)), replace=False))
        part = np.asarray(flat[rows], np.float32)
        parts.append(part[np.isfinite(part[:, 0])])
    return np.concatenate(parts)


def cache_key(context: RoundContext) -> str:
    """Return what the features depend on, besides the scenes.

    Args:
        context: the workspace.
    """
    model = context.config.model
    parts = {
        "encoder": model.encoder,
        "weights": _file_or_name(model.weights),
        "start": _file_or_name(model.start),
        "stride": model.output_stride,
        "scales": model.scales,
        "bands": context.config.data.bands,
        "normalisation": context.inputs.normalisation.to_dict(),
        "seed": None if model.weights or model.start else context.config.train.seed,
    }
    return json.dumps(parts, sort_keys=True)


def _file_or_name(text: str | None) -> list[str | int] | None:
    """Return a name, and of a file size and time as well: another file may take its place."""
    if text is None:
        return None
    path = Path(text).expanduser()
    return [text, path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else [text]


def fill_cells(
    context: RoundContext, cache: CellCache, segmenter: Segmenter, reader: SceneReader, text: str
) -> None:
    """Compute the cells that are missing.

    Args:
        context: the workspace.
        cache: of the scenes.
        segmenter: the network.
        reader: of the scenes.
        text: of the progress.
    """
    if cache.missing():
        from tsfal_geo.instant.extract import FeatureExtractor

        extractor = FeatureExtractor(segmenter, context.inputs.normalisation, reader)
        cache.fill(extractor, lambda share: context.reporter.progress(share, text))


def labelled_cells(
    context: RoundContext, cache: CellCache, labels: LabelReader, without: Sequence[Window] = ()
) -> LabelledCells:
    """Collect the cells with a class, and the answers that they belong to.

    Args:
        context: the workspace.
        cache: the cells of the training scenes.
        labels: of the training scenes.
        without: windows whose labels are left out.

    Raises:
        LabelError: no cell has a class.
    """
    features, classes, answers, last = [], [], [], 0
    for position, scene in enumerate(context.inputs.scenes):
        found = _cells_of(labels, position, scene, len(context.inputs.classes))
        known = np.asarray(cache.scene(position)[..., 0])
        chosen = (found != IGNORE) & np.isfinite(known)
        for window in without:
            if window.scene == position:
                rows, columns = (
                    (start // CELL, -(-(start + length) // CELL))
                    for start, length in ((window.y, window.height), (window.x, window.width))
                )
                chosen[slice(*rows), slice(*columns)] = False
        if not chosen.any():
            continue
        numbers = answers_of(np.where(chosen, found, np.uint8(IGNORE)))
        features.append(np.asarray(cache.scene(position)[chosen], np.float32))
        classes.append(found[chosen].astype(np.int64))
        answers.append(numbers[chosen] + last)
        last = int(answers[-1].max())
    if not features:
        raise LabelError(
            f"{context.workspace.root}: no cell of 4 × 4 pixels with data has a label of one class; label "
            "pixels that are not nodata"
        )
    return LabelledCells(np.concatenate(features), np.concatenate(classes), np.concatenate(answers))


def _cells_of(labels: LabelReader, position: int, scene: Scene, classes: int) -> NDArray[np.uint8]:
    bands = [
        label_cells(labels.read(Window(position, y, 0, min(BLOCK, scene.height - y), scene.width)), classes)
        for y in range(0, scene.height, BLOCK)
    ]
    return np.concatenate(bands)
