"""The labels of a round, the pixels that they cover, and the chips by their part in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import Config
from tsfal_geo.data.split import class_counts, draw_held_out
from tsfal_geo.labels.model import Label, LabelSnapshot, Query
from tsfal_geo.labels.rasterise import PolygonLabels, StackedLabels
from tsfal_geo.raster.chips import owned_part
from tsfal_geo.rounds.inputs import Inputs

DENSE = 0.5
_JUDGING, _ENOUGH_CHIPS = 0.1, 10
FULL = 0.99


@dataclass(frozen=True)
class RoundLabels:
    """The labels of a round.

    Attributes:
        every: people's polygons over the folder's labels; uint8 class indices, 255 without a label.
        manual: people's polygons alone.
        skipped: not 255 where people skipped a query or were unsure.
        by_chip: labelled share of the valid pixels of each chip's window, (chips,) float64.
        by_hand: the same of people's polygons alone.
        own: chips whose own pixels, those that no earlier chip holds, people labelled some of; (chips,) bool.
        spent: valid pixels with a label, each counted once.
    """

    every: StackedLabels
    manual: PolygonLabels
    skipped: PolygonLabels
    by_chip: NDArray[np.float64]
    by_hand: NDArray[np.float64]
    own: NDArray[np.bool_]
    spent: int


@dataclass(frozen=True)
class Pools:
    """Chips by the part they play in training; positions in ``Inputs.chips``.

    Attributes:
        labelled: supervise the segmenter.
        shares: reads of each of these chips an epoch, in (0, 1]; None: one for each.
        unlabelled: get pseudo-labels where they have no label.
        held_out: labelled, but kept for the error mask decoder alone.
        counts: labelled pixels of each class in the chips that supervise, (C,) int64.
    """

    labelled: tuple[int, ...]
    shares: tuple[float, ...] | None
    unlabelled: tuple[int, ...]
    held_out: tuple[int, ...]
    counts: NDArray[np.int64]


def read_labels(
    inputs: Inputs,
    snapshot: LabelSnapshot,
    skipped: Sequence[Query] = (),
    rasterised: PolygonLabels | None = None,
) -> RoundLabels:
    """Put people's labels over the folder's, and count them.

    Args:
        inputs: the workspace's.
        snapshot: people's labels.
        skipped: queries that people skipped or were unsure about.
        rasterised: people's labels as the round before rasterised them: blocks without a change are reused.
    """
    manual = PolygonLabels(snapshot.labels, inputs.scenes, inputs.classes, rasterised)
    every = StackedLabels(manual, inputs.base)
    some_class = int(inputs.classes.ids[0])
    hidden = [Label(query.scene, some_class, query.geometry) for query in skipped]
    by_chip, by_hand = np.zeros(len(inputs.chips)), np.zeros(len(inputs.chips))
    own = np.zeros(len(inputs.chips), bool)
    spent = 0
    for i, chip in enumerate(inputs.chips):
        scene = inputs.scenes[chip.scene]
        values = every.read(chip.window)
        if (values == IGNORE).all():
            continue
        valid = inputs.reader.read(chip.window).valid
        labelled = valid & (values != IGNORE)
        if not labelled.any():
            continue
        part = owned_part(chip, scene.height, scene.width)
        hand = labelled & (manual.read(chip.window) != IGNORE)
        by_chip[i], by_hand[i] = labelled.sum() / valid.sum(), hand.sum() / valid.sum()
        own[i] = hand[part].any()
        spent += int(np.count_nonzero(labelled[part]))
    return RoundLabels(
        every, manual, PolygonLabels(hidden, inputs.scenes, inputs.classes), by_chip, by_hand, own, spent
    )


def label_pools(
    inputs: Inputs, labels: RoundLabels, config: Config, number: int, *, judged: bool = False
) -> Pools:
    """Sort chips into pools.

    Chips of the folder's labels supervise. So does every chip that people labelled, as often as its labelled
    share says. Without ``active.partly_labelled``, a method that uses unlabelled chips takes only those chips
    for supervision that people labelled by half or more. All chips that are not fully labelled are also
    unlabelled: their labels override their pseudo-labels. The chips held out for the error mask decoder
    change with the round, so that the segmenter loses none for good; in their round its networks see
    nothing of them.

    Counts are of chips labelled by half or more, where there are any: queries elsewhere are no fair sample of
    the classes.

    Args:
        inputs: the workspace's.
        labels: of the round.
        config: the whole configuration.
        number: of the round.
        judged: whether held-out chips decide which network makes the map; then a tenth of the chips at least
            are held out, if there are enough.
    """
    from tsfal_geo.training.methods import method_named

    from_folder = set(inputs.labelled)
    sparse_too = config.active.partly_labelled or not method_named(config.train.method).uses_unlabelled
    by_hand = np.flatnonzero((labels.own & sparse_too) | (labels.by_hand >= DENSE)).tolist()
    supervising = sorted(from_folder.union(by_hand)) or np.flatnonzero(labels.by_chip > 0).tolist()
    dense = [i for i in supervising if i in from_folder or labels.by_hand[i] >= DENSE] or supervising
    counts = np.zeros((len(inputs.chips), len(inputs.classes)), np.int64)
    chips = [inputs.chips[i] for i in dense]
    counts[dense] = class_counts(inputs.reader, chips, labels.every, len(inputs.classes))
    held_out: set[int] = set()
    queries = config.train.method == "tsf" and config.active.rounds > 0
    share = (config.emd.hold_out or 0.0) if queries and config.emd.enabled else 0.0
    if judged and len(dense) >= _ENOUGH_CHIPS:
        share = max(share, _JUDGING)
    if share:
        held_out = set(draw_held_out(counts, dense, share, config.train.seed + number))
    kept = tuple(i for i in supervising if i not in held_out)
    open_chips = tuple(i for i in np.flatnonzero(labels.by_chip < FULL).tolist() if i not in held_out)
    shares = tuple(1.0 if i in from_folder else float(labels.by_chip[i]) for i in kept)
    return Pools(
        labelled=kept,
        shares=None if all(share >= FULL for share in shares) else shares,
        unlabelled=open_chips or kept,
        held_out=tuple(sorted(held_out)),
        counts=counts[list(kept)].sum(0),
    )
