"""The questions of the instant model: pure segments over all scenes, and the round's rasters."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.classes import IGNORE
from tsfal_geo.instant.cells import CellCache, cell_shape
from tsfal_geo.instant.segments import Segmentation, Segments, choose, describe
from tsfal_geo.labels.model import Query
from tsfal_geo.labels.polygonise import region_polygon
from tsfal_geo.queries.budget import Budget
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.model import InstantModel
from tsfal_geo.rounds.instant.rasters import bands_of, predict, write_rasters
from tsfal_geo.rounds.pools import RoundLabels
from tsfal_geo.rounds.query_writer import QuerySelection, query_prefix
from tsfal_geo.rounds.round_rasters import write_query_raster

QUERIES = 100
"""Queries of a round whose budget names neither answers nor minutes."""
STRATEGY = "segments"
_FIRST, _LATER = "unlike the others", "doubtful, unlike the others"
_SAMPLE = 20_000


def ask_instant(
    context: RoundContext, number: int, model: InstantModel, labels: RoundLabels, budget: Budget
) -> QuerySelection:
    """Write a round's rasters, and select segments as queries over all scenes.

    Args:
        context: the workspace.
        number: of the round.
        model: of the round.
        labels: of the round.
        budget: of the round.
    """
    inputs, config = context.inputs, context.config
    folder = context.workspace.round_dir(number)
    seed = config.train.seed + number
    score = Confusion(len(inputs.classes)) if config.active.oracle else None
    with tempfile.TemporaryDirectory(prefix=".regions-", dir=folder) as spool:
        segmentation = Segmentation(_sample(model.cache, inputs.scenes, seed), seed) if budget.open else None
        found: list[Segments] = []
        for position in range(len(inputs.scenes)):
            cells = model.cache.scene(position)
            probabilities = None
            if model.classifier is not None:
                probabilities = predict(model.classifier, cells)
                write_rasters(context, folder, position, probabilities, labels.every, score)
            if segmentation is not None:
                askable = _askable(context, position, labels)
                predicted = None if probabilities is None else probabilities.argmax(-1).astype(np.uint8)
                numbers = segmentation.segment(cells, predicted, askable)
                np.save(Path(spool) / f"{position}.npy", numbers)
                found.append(describe(position, numbers, cells, probabilities, askable))
            context.reporter.progress((position + 1) / len(inputs.scenes), "inspecting scenes")
        wanted = budget.most_queries if budget.most_queries is not None else QUERIES
        chosen = choose(found, wanted, seed)
        chosen = _within(found, chosen, budget.remaining)
        queries = _write_queries(context, number, found, chosen, Path(spool), model.classifier is not None)
    diagnostics = {} if score is None or model.classifier is None else _map_score(context, score)
    return QuerySelection(queries, STRATEGY, diagnostics)


def _askable(context: RoundContext, position: int, labels: RoundLabels) -> NDArray[np.int64]:
    """Count the pixels of each cell that a query may contain."""
    scene = context.inputs.scenes[position]
    rows = []
    for y, height in bands_of(scene):
        window = Window(position, y, 0, height, scene.width)
        open_pixels = context.inputs.reader.read(window).valid
        open_pixels = open_pixels & (labels.every.read(window) == IGNORE)
        open_pixels &= labels.skipped.read(window) == IGNORE
        padded = np.pad(open_pixels, ((0, -height % CELL), (0, -scene.width % CELL)))
        rows.append(padded.reshape(padded.shape[0] // CELL, CELL, -1, CELL).sum((1, 3)))
    return np.concatenate(rows)


def _sample(cache: CellCache, scenes: tuple[Scene, ...], seed: int) -> NDArray[np.float32]:
    """Draw cells from all scenes, from each as many as its size says."""
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


def _map_score(context: RoundContext, score: Confusion) -> dict[str, Any]:
    return {"map_miou": score.scores(context.inputs.classes.names).miou}


def _within(found: list[Segments], chosen: list[tuple[int, int]], remaining: int) -> list[tuple[int, int]]:
    pixels = np.cumsum([found[scene].pixels[place] for scene, place in chosen])
    return chosen[: int(np.searchsorted(pixels, remaining, side="right"))]


def _write_queries(
    context: RoundContext,
    number: int,
    found: list[Segments],
    chosen: list[tuple[int, int]],
    spool: Path,
    predicted: bool,
) -> list[Query]:
    inputs, size = context.inputs, context.config.data.chip_size
    prefix = query_prefix(context.workspace.root, number)
    by_scene: dict[int, list[tuple[int, int]]] = {}
    for rank, (position, place) in enumerate(chosen, start=1):
        by_scene.setdefault(position, []).append((rank, place))
    queries: list[Query] = []
    for index, scene in enumerate(inputs.scenes):
        parts = []
        numbers = np.load(spool / f"{index}.npy") if index in by_scene else None
        for rank, place in by_scene.get(index, ()):
            assert numbers is not None
            own = found[index]
            rows, columns = np.nonzero(numbers == own.numbers[place])
            top, left = int(rows.min()), int(columns.min())
            cut = numbers[top : rows.max() + 1, left : columns.max() + 1] == own.numbers[place]
            mask = cut.repeat(CELL, 0).repeat(CELL, 1)
            y, x = top * CELL, left * CELL
            parts.append((y, x, mask, rank))
            queries.append(
                Query(
                    qid=f"{prefix}{rank:06d}",
                    round=number,
                    scene=scene.name,
                    chip=f"{y // size}-{x // size}",
                    rank=rank,
                    score=float(own.worth[place]),
                    reason=_LATER if predicted else _FIRST,
                    suggested=int(inputs.classes.ids[max(int(own.predicted[place]), 0)]),
                    pixels=int(np.count_nonzero(mask)),
                    geometry=region_polygon(mask, scene.grid, y, x),
                )
            )
        path = context.workspace.round_dir(number) / scene.name / "queries.tif"
        _write_ranks(path, scene, parts)
    return sorted(queries, key=lambda query: query.rank)


def _write_ranks(path: Path, scene: Scene, parts: list[tuple[int, int, NDArray[np.bool_], int]]) -> None:
    """Write the ranks in one piece: bounding boxes of segments overlap, though the segments do not."""
    if not parts:
        write_query_raster(path, scene, [])
        return
    ranks = np.zeros(scene.shape, np.uint32)
    for y, x, mask, rank in parts:
        ranks[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = rank
    write_query_raster(path, scene, [(0, 0, ranks)])
