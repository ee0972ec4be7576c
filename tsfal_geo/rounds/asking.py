"""The end of a round: inspect every chip, write the rasters, select the queries."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from tsfal_geo.config import ActiveConfig, Config
from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import choose_compute
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.queries.budget import Budget
from tsfal_geo.queries.ranking import chip_cap, propose, select
from tsfal_geo.queries.strategies import Strategy, build_strategy
from tsfal_geo.queries.strategies.vaal_networks import shrink
from tsfal_geo.queries.strategy import TrainingPool
from tsfal_geo.queries.thumbnails import Thumbnails
from tsfal_geo.queries.whole_chips import propose_chip, select_chips
from tsfal_geo.raster.chips import owned_part
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.inspection import ChipBatch, ChipInspector, Committee
from tsfal_geo.rounds.map_score import MapScore
from tsfal_geo.rounds.pools import RoundLabels, read_labels
from tsfal_geo.rounds.quality_counter import QualityCounter
from tsfal_geo.rounds.query_writer import QuerySelection, RegionCache, write_queries
from tsfal_geo.rounds.round_rasters import RoundRasters
from tsfal_geo.rounds.scored_chips import ScoredChip, scored_chips
from tsfal_geo.rounds.training import TrainedRound

_BATCH = 4


def select_queries(
    context: RoundContext, number: int, trained: TrainedRound, labels: RoundLabels, budget: Budget
) -> QuerySelection:
    """Inspect every chip of every scene, write the round's rasters, select the queries.

    Each chip is inspected once; only the outlines of its regions are kept, on disk.

    Args:
        context: the workspace.
        number: of the round.
        trained: the round's networks.
        labels: of the round.
        budget: pixels that the queries may hold, and effort that their answers may take.
    """
    config, inputs = context.config, context.inputs
    # With nothing to spend there is nothing to score: the committee would vote in vain.
    passes = config.active.qbc_passes if budget.open else 0
    strategy = build_strategy(config.active.strategy, config.train.seed + number, passes)
    inspector = ChipInspector(
        inputs,
        labels,
        trained,
        config.train,
        committee=Committee(strategy.passes, strategy.seed) if strategy.passes else None,
        pooled=strategy.needs_pooled,
    )
    quality = score = None
    if config.active.oracle:
        score = MapScore(inputs, labels.every, config.plar)
        if inspector.refiner is not None:
            threshold = float(inspector.refiner.threshold)
            quality = QualityCounter(inputs.truth, config.plar, threshold, len(inputs.classes))
    folder = context.workspace.round_dir(number)
    sharing = int(np.count_nonzero(labels.by_chip < 1))
    cap = chip_cap(_expected_pixels(config, budget), sharing, config.active.image_cap)
    with tempfile.TemporaryDirectory(prefix=".regions-", dir=folder) as spool:
        cache = RegionCache(Path(spool))
        if strategy.learns and budget.open:
            strategy.learn(_training_pool(context, labels, trained.steps, Path(spool)))
        labelled: list[NDArray[np.float32]] = []
        for scored in _write_rasters(context, inspector, quality, folder):
            if score is not None:
                score.add(scored)
            if budget.open and scored.askable.any():
                _propose(cache, scored, strategy, config.active, cap)
            if strategy.order == "chips" and labels.by_chip[scored.position] > 0.5:
                vector = strategy.chip_vector(scored.outputs)
                labelled += [] if vector is None else [vector]
        queries = _select(context, number, labels, strategy, cache, budget, labelled)
    if score is None:
        diagnostics = _validation_quality(context, trained)
    else:
        diagnostics = {"map_miou": score.miou, **(quality.diagnostics() if quality else {})}
    return QuerySelection(queries, strategy.name, diagnostics)


def _expected_pixels(config: Config, budget: Budget) -> int:
    """Return the pixels that the round is likely to ask: answers may bind long before pixels do."""
    if budget.most_queries is None:
        return budget.remaining
    active = config.active
    sizes = {"pixels": CELL**2, "chips": config.data.chip_size**2}
    size = sizes.get(active.granularity, math.sqrt(active.min_region * active.max_region))
    return min(budget.remaining, round(budget.most_queries * size))


def _propose(
    cache: RegionCache, scored: ScoredChip, strategy: Strategy, active: ActiveConfig, cap: int
) -> None:
    if active.granularity == "chips":
        proposal = propose_chip(scored.outputs, strategy)
    else:
        proposal = propose(scored.outputs, strategy, active, cap)
    cache.add(scored.chip, proposal)


def _select(
    context: RoundContext,
    number: int,
    labels: RoundLabels,
    strategy: Strategy,
    cache: RegionCache,
    budget: Budget,
    labelled: list[NDArray[np.float32]],
) -> list[Query]:
    """Select among the proposals within the budget, and write the queries' outlines."""
    active = context.config.active
    if active.granularity == "chips":
        chosen = select_chips(cache.proposals, budget.remaining, strategy, labelled, budget.most_queries)
    else:
        chosen = select(
            cache.proposals, budget.remaining, strategy, active.ranking, labelled, budget.most_queries
        )
    if cache.proposals and budget.open and not chosen:
        least = min(int(proposal.regions.pixels.min()) for proposal in cache.proposals)
        context.reporter.warning(
            f"round {number} may ask {budget.remaining} pixels, but the smallest query has {least}; "
            "raise active.budget or lower active.rounds"
        )
    offered = sum(len(proposal.regions) for proposal in cache.proposals)
    pixels = sum(pick.pixels for pick in chosen)
    fewer = budget.most_queries is None or len(chosen) < budget.most_queries
    if offered == len(chosen) and pixels < budget.remaining and fewer:
        context.reporter.warning(
            f"round {number} may ask {budget.remaining} pixels, but strategy {strategy.name} finds only "
            f"{pixels} to ask about; train longer, raise plar.confidence or ask by another --strategy"
        )
    ranked = [(cache.chips[pick.chip], pick.chip, pick.region) for pick in chosen]
    return write_queries(context, number, labels, strategy.reason, cache, ranked)


def _validation_quality(context: RoundContext, trained: TrainedRound) -> dict[str, Any]:
    """Count masks and votes on the validation scenes; nothing without them or without a refiner."""
    validation = context.validation
    if validation is None or trained.refiner is None:
        return {}
    there = replace(
        context.inputs,
        scenes=validation.labels.scenes,
        reader=validation.reader,
        chips=validation.chips,
        labelled=(),
        valid=(),
    )
    unlabelled = read_labels(there, LabelSnapshot((), ()))
    inspector = ChipInspector(there, unlabelled, trained, context.config.train)
    assert inspector.refiner is not None
    threshold = float(inspector.refiner.threshold)
    quality = QualityCounter(validation.labels, context.config.plar, threshold, len(there.classes))
    for batch in _inspected(context, inspector, len(there.chips)):
        quality.add(batch)
    return quality.diagnostics()


def _inspected(context: RoundContext, inspector: ChipInspector, count: int) -> Iterator[ChipBatch]:
    for batch in inspector.batches(context.config.export.batch or _BATCH):
        yield batch
        context.reporter.progress((batch.positions[-1] + 1) / count, "inspecting chips")


def _scored(
    context: RoundContext, inspector: ChipInspector, quality: QualityCounter | None
) -> Iterator[ScoredChip]:
    plar = context.config.plar
    for batch in _inspected(context, inspector, len(context.inputs.chips)):
        if quality is not None:
            quality.add(batch)
        yield from scored_chips(batch, inspector.refiner, plar.confidence, plar=plar.enabled)


def _write_rasters(
    context: RoundContext, inspector: ChipInspector, quality: QualityCounter | None, folder: Path
) -> Iterator[ScoredChip]:
    """Give every chip once; the scenes' rasters are written on the way."""
    inputs = context.inputs
    refined = inspector.refiner is not None
    for index, of_scene in groupby(
        _scored(context, inspector, quality), key=lambda scored: scored.chip.scene
    ):
        scene = inputs.scenes[index]
        with RoundRasters(folder / scene.name, scene, inputs.classes, refined) as rasters:
            for _, of_row in groupby(of_scene, key=lambda scored: scored.chip.row):
                band: dict[str, NDArray[np.uint8]] = {}
                for scored in of_row:
                    chip = scored.chip
                    top = chip.row * chip.size
                    band = band or rasters.band(min(chip.y + chip.size, scene.height) - top)
                    _place(scored, band, scene.height, scene.width)
                    yield scored
                rasters.write(top, band)


def _place(scored: ScoredChip, band: dict[str, NDArray[np.uint8]], height: int, width: int) -> None:
    part = owned_part(scored.chip, height, width)
    left = scored.chip.x + part[1].start
    for name, rows in band.items():
        own = scored.layers[name][part]
        rows[: own.shape[0], left : left + own.shape[1]] = own


def _training_pool(context: RoundContext, labels: RoundLabels, steps: int, folder: Path) -> TrainingPool:
    """Return the chips that a strategy learns from.

    Labelled are chips with labels on more than half of their pixels. Without such chips they are those with
    any label.

    Args:
        context: the workspace.
        labels: of the round.
        steps: of the segmenter's training.
        folder: for the pictures.
    """
    inputs, train = context.inputs, context.config.train
    dataset, normalise = OrthoDataset(inputs.reader), Normaliser(inputs.normalisation)
    labelled = labels.by_chip > 0.5
    labelled = labelled if labelled.any() else labels.by_chip > 0

    def picture(position: int) -> Tensor:
        batch = default_collate([dataset.read_chip(inputs.chips[position])])
        return shrink(normalise(batch))[0]

    return TrainingPool(
        pictures=Thumbnails(folder, len(inputs.chips), picture),
        keys=[(chip.scene, chip.row, chip.col) for chip in inputs.chips],
        labelled=np.flatnonzero(labelled).tolist(),
        unlabelled=np.flatnonzero(~labelled).tolist(),
        steps=steps,
        batch=train.batch_labelled,
        device=choose_compute().device,
        progress=lambda share: context.reporter.progress(share, "training the query strategy"),
    )
