"""The end of a round: one look at every chip, the rasters of what was seen, and the queries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import batched, groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import choose_compute
from tsfal_geo.labels.model import LabelSnapshot
from tsfal_geo.queries.budget import Budget
from tsfal_geo.queries.ranking import chip_cap, propose, select
from tsfal_geo.queries.strategies import build_strategy
from tsfal_geo.queries.strategies.vaal_networks import shrink
from tsfal_geo.queries.strategy import Material
from tsfal_geo.queries.thumbnails import Thumbnails
from tsfal_geo.queries.whole_chips import propose_chip, select_chips
from tsfal_geo.raster.chips import owned_part
from tsfal_geo.rounds.context import Context
from tsfal_geo.rounds.inspection import Seen, Watcher
from tsfal_geo.rounds.map_score import MapScore
from tsfal_geo.rounds.pools import RoundLabels, read_labels
from tsfal_geo.rounds.query_writer import Asked, _queries, _Shelf
from tsfal_geo.rounds.round_rasters import RoundRasters
from tsfal_geo.rounds.training import Trained
from tsfal_geo.rounds.validation import validation_set


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


def material(context: Context, labels: RoundLabels, steps: int, folder: Path) -> Material:
    """Chips that are labelled by more than half, and the others; without such chips, those with any label.

    Args:
        context: the workspace.
        labels: of the round.
        steps: of the segmenter's training.
        folder: for the pictures.
    """
    inputs, train = context.inputs, context.config.train
    dataset, normalise = OrthoDataset(inputs.reader), Normaliser(inputs.normalisation)
    known = labels.by_chip > 0.5
    known = known if known.any() else labels.by_chip > 0

    def picture(position: int) -> Tensor:
        batch = default_collate([dataset.read_chip(inputs.chips[position])])
        return shrink(normalise(batch))[0]

    return Material(
        pictures=Thumbnails(folder, len(inputs.chips), picture),
        keys=[(chip.scene, chip.row, chip.col) for chip in inputs.chips],
        labelled=np.flatnonzero(known).tolist(),
        unlabelled=np.flatnonzero(~known).tolist(),
        steps=steps,
        batch=train.batch_labelled,
        device=choose_compute().device,
        progress=lambda share: context.reporter.progress(share, "learning what to ask"),
    )
