"""The questions of the instant model: pure segments over all scenes, and the round's rasters."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import ConfigError
from tsfal_geo.instant.answerable import Answerable
from tsfal_geo.instant.choice import Rule, choose
from tsfal_geo.instant.segments import Segmentation, Segments, Value
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.queries.budget import Budget
from tsfal_geo.raster.chips import Window
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.model import InstantModel
from tsfal_geo.rounds.instant.past_questions import keep_traits, read_asked
from tsfal_geo.rounds.instant.pieces import DOUBTFUL, Pieces, most_of, piece_query
from tsfal_geo.rounds.instant.rasters import bands_of, layers_of
from tsfal_geo.rounds.pools import RoundLabels
from tsfal_geo.rounds.query_writer import QuerySelection
from tsfal_geo.rounds.round_rasters import RoundRasters, write_number_raster

QUERIES = 100
"""Queries of a round whose budget names neither answers nor minutes."""
STRATEGY = "segments"


@dataclass(frozen=True)
class _Asking:
    """The way in which a round chooses its questions.

    Attributes:
        name: of the strategy, for the metrics.
        reason: that a person reads with each question.
        rule: of the choice among segments.
        value: of an answer.
        points: questions are single cells.
    """

    name: str
    reason: str
    rule: Rule
    value: Value
    points: bool


def ask_instant(
    context: RoundContext,
    number: int,
    model: InstantModel,
    labels: RoundLabels,
    budget: Budget,
    snapshot: LabelSnapshot,
) -> QuerySelection:
    """Write a round's rasters, and select segments or points as queries over all scenes.

    Args:
        context: the workspace.
        number: of the round.
        model: of the round.
        labels: of the round.
        budget: of the round.
        snapshot: of the store; what people answered and skipped before tells what they can answer.

    Raises:
        ConfigError: there are no labels, and nothing can be asked.
    """
    inputs, config = context.inputs, context.config
    folder = context.workspace.round_dir(number)
    seed = config.train.seed + number
    score = Confusion(len(inputs.classes)) if config.active.oracle and model.classifier else None
    with tempfile.TemporaryDirectory(prefix=".regions-", dir=folder) as spool:
        asking = _asking(context, number, model, snapshot, seed)
        segmentation = Segmentation(model.sample, seed) if budget.open else None
        pieces = Pieces(
            labels.skipped,
            Path(spool),
            segmentation,
            asking.value,
            most_of(inputs.scenes),
            points=asking.points,
        )
        for position, scene in enumerate(inputs.scenes):
            with ExitStack() as stack:
                rasters = None
                if model.classifier is not None:
                    layers = RoundRasters(folder / scene.name, scene, inputs.classes, refined=False)
                    rasters = stack.enter_context(layers)
                for band in bands_of(model.classifier, model.cache.scene(position), position, scene):
                    valid = inputs.reader.read(band.window).valid
                    known = labels.every.read(band.window)
                    if rasters is not None and band.pixels is not None:
                        shown = layers_of(band.pixels, known, config.plar.confidence)
                        _write(rasters, band.window, shown, valid)
                        if score is not None:
                            truth = np.where(valid, inputs.truth.read(band.window), np.uint8(IGNORE))
                            score.add(truth, np.where(known != IGNORE, known, shown["prediction"]))
                    pieces.add(band, valid & (known == IGNORE))
            context.reporter.progress((position + 1) / len(inputs.scenes), "inspecting scenes")
        wanted = budget.most_queries if budget.most_queries is not None else QUERIES
        chosen = choose(pieces.found, wanted, seed, asking.rule, model.labelled)
        chosen = _within(pieces.found, chosen, budget.remaining)
        if not chosen and model.classifier is None:
            raise ConfigError(
                f"{context.workspace.raster_dir}: found no segment of one kind of ground that fits the "
                f"budget ({budget.remaining} pixels), expected some to label first; raise --budget, or label "
                "polygons of your own in QGIS"
            )
        queries = _write_queries(context, number, pieces, chosen, reason=asking.reason)
        keep_traits(
            folder, queries, [pieces.found[piece].traits for piece, _ in chosen], [p for _, p in chosen]
        )
        if pieces.found and not asking.points:
            _write_segments(context, number, pieces)
    diagnostics = {} if score is None else {"map_miou": score.scores(inputs.classes.names).miou}
    return QuerySelection(queries, asking.name, diagnostics)


def _asking(
    context: RoundContext, number: int, model: InstantModel, snapshot: LabelSnapshot, seed: int
) -> _Asking:
    """Return the way to ask that the configuration names; the default has no name of its own there."""
    active = context.config.active
    points = active.granularity == "pixels"
    if active.strategy == "random":
        draw = np.random.default_rng(seed)
        return _Asking("random", "random", "worth", lambda traits: draw.random(len(traits.cells)), points)
    if model.classifier is None:
        return _Asking(
            STRATEGY, "unlike the others", "balanced", lambda traits: np.log1p(traits.cells), points
        )
    if active.strategy == "entropy":
        return _Asking("entropy", "doubtful", "worth", lambda traits: traits.entropy, points)
    if active.strategy == "coreset":
        draw = np.random.default_rng(seed)
        return _Asking(
            "coreset", "unlike the others", "covering", lambda traits: draw.random(len(traits.cells)), points
        )
    answerable = Answerable(read_asked(context.workspace, number, snapshot))
    return _Asking(STRATEGY, DOUBTFUL, "balanced", answerable.worth, points)


def _write(
    rasters: RoundRasters, window: Window, layers: dict[str, NDArray[np.uint8]], valid: NDArray[np.bool_]
) -> None:
    band = rasters.band(window.height)
    for name, values in layers.items():
        band[name][valid] = values[valid]
    rasters.write(window.y, band)


def _within(found: list[Segments], chosen: list[tuple[int, int]], remaining: int) -> list[tuple[int, int]]:
    pixels = np.cumsum([found[scene].pixels[place] for scene, place in chosen])
    return chosen[: int(np.searchsorted(pixels, remaining, side="right"))]


def _write_segments(context: RoundContext, number: int, pieces: Pieces) -> None:
    """Write ``segments.tif`` of every scene, from which people take what lies below a click."""
    for index, scene in enumerate(context.inputs.scenes):
        parts, before = [], 0
        for piece, window in enumerate(pieces.windows):
            if window.scene == index:
                cells = pieces.numbers(piece).astype(np.uint32)
                # Each band has numbers of its own, and bands touch.
                numbers = np.where(cells > 0, cells + np.uint32(before), 0).astype(np.uint32)
                before += int(cells.max(initial=0))
                height, width = window.shape
                parts.append((window.y, 0, numbers.repeat(CELL, 0).repeat(CELL, 1)[:height, :width]))
        folder = context.workspace.round_dir(number) / scene.name
        write_number_raster(folder / "segments.tif", scene, parts)


def _write_queries(
    context: RoundContext,
    number: int,
    pieces: Pieces,
    chosen: list[tuple[int, int]],
    *,
    reason: str,
) -> list[Query]:
    inputs = context.inputs
    prefix = context.workspace.query_prefix(number)
    by_piece: dict[int, list[tuple[int, int]]] = {}
    for rank, (piece, place) in enumerate(chosen, start=1):
        by_piece.setdefault(piece, []).append((rank, place))
    by_scene: dict[int, list[int]] = {}
    for piece in sorted(by_piece):
        by_scene.setdefault(pieces.windows[piece].scene, []).append(piece)
    queries: list[Query] = []
    for index, scene in enumerate(inputs.scenes):
        parts = []
        for piece in by_scene.get(index, ()):
            window = pieces.windows[piece]
            ranks = np.zeros(window.shape, np.uint32)
            for rank, place in by_piece[piece]:
                mask, y, x = pieces.mask(piece, place)
                ranks[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = rank
                queries.append(
                    piece_query(
                        context, pieces, (piece, place), f"{prefix}{rank:06d}", number, rank, reason=reason
                    )
                )
            parts.append((window.y, 0, ranks))
        write_number_raster(context.workspace.round_dir(number) / scene.name / "queries.tif", scene, parts)
    return sorted(queries, key=lambda query: query.rank)
