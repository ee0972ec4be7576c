"""The end of a round: one look at every chip, the rasters of what was seen, and the queries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched, groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.active.budget import askable_pixels
from tsfal_geo.active.layers import RoundRasters, write_query_raster
from tsfal_geo.active.looking import Seen, Watcher
from tsfal_geo.active.map_score import MapScore
from tsfal_geo.active.material import material
from tsfal_geo.active.pools import RoundLabels, read_labels
from tsfal_geo.active.ranking import ChipQueries, chip_cap, propose, select
from tsfal_geo.active.regions import Regions, region_pixels
from tsfal_geo.active.rounds import Budget, Context
from tsfal_geo.active.strategies import Strategy, build_strategy
from tsfal_geo.active.training import Trained
from tsfal_geo.active.validation import validation_set
from tsfal_geo.active.whole_chips import propose_chip, select_chips
from tsfal_geo.labels.polygonise import region_polygons
from tsfal_geo.labels.store import LabelSnapshot, Query
from tsfal_geo.raster.chips import Chip, owned_part


@dataclass(frozen=True)
class Asked:
    """What a round asks.

    Attributes:
        queries: by rank.
        strategy: that chose them.
        diagnostics: what the masks and votes are worth, where the truth is known.
    """

    queries: list[Query]
    strategy: str
    diagnostics: dict[str, Any] = field(default_factory=dict)


def ask(context: Context, number: int, trained: Trained, labels: RoundLabels, budget: Budget) -> Asked:
    """Look at every chip of every scene, write the round's rasters, choose the queries.

    A chip is looked at once; only the outlines of its regions are kept, on disk.
    """
    config = context.config
    seed = config.train.seed + number
    # With nothing to spend there is nothing to score: a committee would be asked in vain.
    passes = config.active.qbc_passes if budget.remaining else 0
    strategy = build_strategy(config.active.strategy, seed, passes)
    whole = config.active.granularity == "chips"
    truth = context.inputs.truth if config.active.oracle else None
    watcher = Watcher(context, trained, labels, strategy, truth=truth)
    score = None if truth is None else MapScore(context, labels)
    open_chips = int(np.count_nonzero(labels.by_chip < 1))
    cap = chip_cap(budget.remaining, open_chips, config.active)
    folder = context.workspace.round_dir(number)
    with tempfile.TemporaryDirectory(prefix=".regions-", dir=folder) as spool:
        shelf = _Shelf(Path(spool))
        if strategy.learns and budget.remaining:
            strategy.learn(material(context, labels, trained.steps, Path(spool)))
        known: list[NDArray[np.float32]] = []
        for seen in _walk(context, watcher, folder):
            if score is not None:
                score.add(seen)
            if budget.remaining and seen.askable.any():
                shelf.put(
                    seen.chip,
                    propose_chip(seen.outputs, strategy)
                    if whole
                    else propose(seen.outputs, strategy, config.active, cap),
                )
            if strategy.order == "chips" and labels.by_chip[seen.position] > 0.5:
                vector = strategy.describe(seen.outputs)
                known += [] if vector is None else [vector]
        if whole:
            chosen = select_chips(shelf.proposals, budget.remaining, strategy, known)
        else:
            chosen = select(shelf.proposals, budget.remaining, strategy, config.active.ranking, known)
        if shelf.proposals and budget.remaining and not chosen:
            least = min(int(proposal.regions.pixels.min()) for proposal in shelf.proposals)
            context.reporter.warning(
                f"round {number} may ask {budget.remaining} pixels, but the smallest query has {least}; "
                "raise active.budget or lower active.rounds"
            )
        offered = sum(len(proposal.regions) for proposal in shelf.proposals)
        asked = sum(pick.pixels for pick in chosen)
        if offered == len(chosen) and asked < budget.remaining:
            context.reporter.warning(
                f"round {number} may ask {budget.remaining} pixels, but strategy {strategy.name} finds only "
                f"{asked} to ask about; train longer, raise plar.confidence or ask by another --strategy"
            )
        ranked = [(shelf.chips[pick.chip], pick.chip, pick.region) for pick in chosen]
        queries = _queries(context, number, labels, strategy, shelf, ranked, folder)
    if score is None:
        diagnostics = _on_validation(context, trained)
    else:
        diagnostics = {"map_miou": score.miou, **watcher.diagnostics()}
    return Asked(queries, strategy.name, diagnostics)


def _on_validation(context: Context, trained: Trained) -> dict[str, Any]:
    """What masks and votes are worth on the validation scenes; empty without them or without a refiner."""
    folder = context.workspace.state.val_dir
    if folder is None or trained.refiner is None:
        return {}
    val = validation_set(folder, context.inputs, context.config)
    there = replace(
        context.inputs, scenes=val.labels.scenes, reader=val.reader, chips=val.chips, labelled=(), valid=()
    )
    nothing = read_labels(there, LabelSnapshot((), ()))
    elsewhere = replace(context, inputs=there)
    watcher = Watcher(elsewhere, trained, nothing, build_strategy("random", 0, 0), truth=val.labels)
    for _ in _looked(elsewhere, watcher):
        pass
    return watcher.diagnostics()


class _Shelf:
    """Proposals with their region outlines on disk, so that memory does not grow with the chips' cells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.chips: list[Chip] = []
        self.proposals: list[ChipQueries] = []

    def put(self, chip: Chip, proposal: ChipQueries) -> None:
        if not len(proposal.regions):
            return
        np.save(self._folder / f"{len(self.chips)}.npy", proposal.regions.labels)
        empty = np.zeros((0, 0), np.int32)
        self.proposals.append(replace(proposal, regions=replace(proposal.regions, labels=empty)))
        self.chips.append(chip)

    def regions(self, position: int) -> Regions:
        labels = np.load(self._folder / f"{position}.npy")
        return replace(self.proposals[position].regions, labels=labels)


def _walk(context: Context, watcher: Watcher, folder: Path) -> Iterator[Seen]:
    """Every chip, once; the scenes' rasters are written on the way."""
    inputs = context.inputs
    for index, of_scene in groupby(_looked(context, watcher), key=lambda seen: seen.chip.scene):
        scene = inputs.scenes[index]
        with RoundRasters(folder / scene.name, scene, inputs.classes, watcher.refines) as rasters:
            for _, of_row in groupby(of_scene, key=lambda seen: seen.chip.row):
                band: dict[str, NDArray[np.uint8]] = {}
                for seen in of_row:
                    chip = seen.chip
                    top = chip.row * chip.size
                    band = band or rasters.band(min(chip.y + chip.size, scene.height) - top)
                    _place(seen, band, scene.height, scene.width)
                    yield seen
                rasters.write(top, band)


def _looked(context: Context, watcher: Watcher) -> Iterator[Seen]:
    """Every chip in order; pictures of one size that are a chip each fill batches together."""
    chips, scenes = context.inputs.chips, context.inputs.scenes
    for _, alike in groupby(range(len(chips)), key=lambda i: scenes[chips[i].scene].shape):
        for some in batched(alike, context.config.export.batch or 4):
            yield from watcher.look(some)
            context.reporter.progress((some[-1] + 1) / len(chips), "looking at chips")


def _place(seen: Seen, band: dict[str, NDArray[np.uint8]], height: int, width: int) -> None:
    part = owned_part(seen.chip, height, width)
    left = seen.chip.x + part[1].start
    for name, rows in band.items():
        mine = seen.layers[name][part]
        rows[: mine.shape[0], left : left + mine.shape[1]] = mine


def _queries(
    context: Context,
    number: int,
    labels: RoundLabels,
    strategy: Strategy,
    shelf: _Shelf,
    ranked: Sequence[tuple[Chip, int, int]],
    folder: Path,
) -> list[Query]:
    """Outlines of the chosen regions, and ``queries.tif`` of every scene."""
    inputs = context.inputs
    rank_of = {(position, region): rank for rank, (_, position, region) in enumerate(ranked, start=1)}
    by_scene: dict[int, list[int]] = {}
    for position in sorted({position for _, position, _ in ranked}):
        by_scene.setdefault(shelf.chips[position].scene, []).append(position)
    prefix = context.query_prefix(number)
    queries: list[Query] = []
    for index, scene in enumerate(inputs.scenes):
        parts = []
        for position in by_scene.get(index, ()):
            chip, regions = shelf.chips[position], shelf.regions(position)
            part = owned_part(chip, scene.height, scene.width)
            window = (chip.scene, chip.y, chip.x, chip.size, chip.size)
            valid, said = inputs.reader.read(*window).valid, labels.every.read(*window)
            askable = askable_pixels(valid, said, labels.aside.read(*window), part)
            pixels = region_pixels(regions.labels, askable)[part]
            top, left = chip.y + part[0].start, chip.x + part[1].start
            ranks = np.zeros(len(regions) + 1, np.uint32)
            for region in range(1, len(regions) + 1):
                ranks[region] = rank_of.get((position, region), 0)
            asked = np.where(ranks[pixels] > 0, pixels, np.int32(0))
            counts = np.bincount(asked.ravel(), minlength=len(ranks))
            for region, outline in region_polygons(asked, scene.grid, top, left).items():
                rank = int(ranks[region])
                queries.append(
                    Query(
                        qid=f"{prefix}{rank:06d}",
                        round=number,
                        scene=scene.name,
                        chip=f"{chip.row}-{chip.col}",
                        rank=rank,
                        score=float(regions.score[region - 1]),
                        reason=strategy.reason,
                        suggested=int(inputs.classes.ids[regions.predicted[region - 1]]),
                        pixels=int(counts[region]),
                        geometry=outline,
                    )
                )
            parts.append((top, left, ranks[pixels]))
        write_query_raster(folder / scene.name / "queries.tif", scene, parts)
    assert len(queries) == len(ranked)
    return sorted(queries, key=lambda query: query.rank)
