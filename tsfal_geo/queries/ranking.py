"""Ranking of queries: from scores on cells to one order of regions over all chips.

Two steps bound memory independently of the number of chips. ``propose`` turns one chip's outputs into a few
numbered regions and drops the rest. ``select`` orders the regions of all chips and spends the allowance.

The paper (Ma, Karakus, Rosin 2025) queries pixels; connected regions are ours, because an annotator answers a
region with one click. The order of queries is our reading. Ranking ``paper`` visits chips at random until the
budget is spent; ``strong`` sorts by score and caps each chip, so that answers support PLAR in many chips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.config import ActiveConfig
from tsfal_geo.queries.budget import affordable
from tsfal_geo.queries.chip_outputs import ChipKey, ChipOutputs
from tsfal_geo.queries.farthest import farthest_points
from tsfal_geo.queries.regions import (
    Regions,
    cell_regions,
    connected_regions,
    measure_regions,
    regions_with_candidates,
)
from tsfal_geo.queries.strategy import CellScores, Strategy

POOL = 4
POOL_REGIONS = 2048
_ORDER_SALT = 0x7F5A


@dataclass(frozen=True)
class ChipProposal:
    """The regions that one chip proposes as queries.

    Attributes:
        key: (scene, row, col) of the chip.
        regions: R regions, numbered from 1.
        within_cap: (R,) bool, regions within the chip's cap; the others come after those of all chips.
        vector: (D,) float32, the strategy's description of the chip; None for strategies without one.
    """

    key: ChipKey
    regions: Regions
    within_cap: NDArray[np.bool_]
    vector: NDArray[np.float32] | None


@dataclass(frozen=True)
class Pick:
    """A region selected as a query.

    Attributes:
        chip: position of its proposal in the sequence given to ``select``.
        region: its number in that chip, from 1.
        pixels: its cost, in pixels of the allowance.
    """

    chip: int
    region: int
    pixels: int


def chip_cap(allowance: int, chips: int, image_cap: float) -> int:
    """Compute the pixels that ``select`` takes from one chip before it turns to the remaining regions.

    Args:
        allowance: pixels of the round.
        chips: number of chips that share it.
        image_cap: the cap in even shares of the allowance.

    Returns:
        Pixels, at least 1.
    """
    return max(int(image_cap * allowance / max(chips, 1)), 1)


def propose(outputs: ChipOutputs, strategy: Strategy, config: ActiveConfig, cap: int) -> ChipProposal:
    """Cut one chip into regions, score them and mark those within the chip's cap.

    With granularity ``pixels`` and ranking ``strong``, farthest points spread single cells over the features.
    The best cells alone are often alike, and PLAR gains little from the labels of similar cells.

    Args:
        outputs: the networks' outputs on the chip.
        strategy: gives scores and candidate cells.
        config: granularity, region sizes and ranking.
        cap: pixels, from ``chip_cap``.

    Returns:
        The chip's regions. Where a cap applies, only the best are kept, up to ``POOL`` caps of pixels.
    """
    scores = strategy.score(outputs)
    candidate = _array(scores.candidate)
    predicted = _array(outputs.probs.argmax(0).to(torch.uint8))
    askable = _array(outputs.askable)
    own = strategy.regions(askable)
    if own is not None:
        labels = own
    elif config.granularity == "pixels":
        labels = cell_regions(candidate, askable)
    else:
        joinable = scores.joinable if config.ranking == "strong" else None
        cells = candidate if joinable is None else _array(joinable)
        labels = connected_regions(cells, predicted, askable, config.min_region, config.max_region)
        if joinable is not None:
            labels = regions_with_candidates(labels, candidate)
    regions = measure_regions(
        labels, predicted, askable, _score(scores, labels, strategy.generator(outputs.key))
    )
    if strategy.per_chip:
        within_cap = np.zeros(len(regions), bool)
        within_cap[np.argsort(-regions.score, kind="stable")[: strategy.per_chip]] = True
        return ChipProposal(outputs.key, regions, within_cap, strategy.chip_vector(outputs))
    capped = strategy.order == "score" or (strategy.order == "ranking" and config.ranking == "strong")
    if not capped:
        return ChipProposal(outputs.key, regions, np.ones(len(regions), bool), strategy.chip_vector(outputs))
    pool = _within(regions.pixels, np.argsort(-regions.score, kind="stable"), POOL * cap)
    spread = strategy.order == "ranking" and config.granularity == "pixels"
    if spread and regions.pixels[pool].sum() > cap:
        pool = pool[:POOL_REGIONS]
        where = torch.from_numpy(np.flatnonzero(regions.labels)[pool]).to(outputs.f2.device)
        chosen = _within(regions.pixels, pool[farthest_points(outputs.f2.flatten(1).T[where])], cap)
    else:
        chosen = _within(regions.pixels, pool, cap)
    within_cap = np.zeros(len(regions), bool)
    within_cap[chosen] = True
    kept = np.zeros(len(regions), bool)
    kept[pool] = True
    return ChipProposal(outputs.key, *_keep(regions, within_cap, kept), strategy.chip_vector(outputs))


def select(
    proposals: Sequence[ChipProposal],
    allowance: int,
    strategy: Strategy,
    ranking: Literal["paper", "strong"] | None,
    labelled: Sequence[NDArray[np.float32]] = (),
    most: int | None = None,
) -> list[Pick]:
    """Order the regions of all chips and pick queries within the allowance.

    Ranking ``paper`` visits the chips in random order and lists all candidates of one chip, shuffled, before
    those of the next. Ranking ``strong`` sorts by mean score, with the regions within their chip's cap first.

    Args:
        proposals: of all chips, in a fixed order.
        allowance: pixels; never exceeded.
        strategy: gives the kind of order and the seed.
        ranking: the order for strategies whose ``order`` is ``ranking``; others ignore it.
        labelled: (D,) vectors of the labelled chips, for strategies whose ``order`` is ``chips``.
        most: number of regions at most; None: no limit.

    Returns:
        The picked regions, best first.

    Raises:
        ValueError: the strategy ranks chips, but a proposal has no vector.
    """
    if not proposals:
        return []
    sizes = [len(p.regions) for p in proposals]
    chips = np.repeat(np.arange(len(proposals)), sizes)
    numbers = np.concatenate([np.arange(1, size + 1) for size in sizes])
    pixels = np.concatenate([p.regions.pixels for p in proposals])
    score = np.concatenate([p.regions.score for p in proposals])
    late = ~np.concatenate([p.within_cap for p in proposals])
    if strategy.order == "chips":
        place = _places(strategy.rank_chips([_vector(p) for p in proposals], labelled))
        order = np.lexsort((numbers, -score, place[chips]))
    elif strategy.order == "ranking" and ranking == "paper":
        shuffle = np.random.default_rng((strategy.seed, _ORDER_SALT))
        place = _places(shuffle.permutation(len(proposals)))
        order = np.lexsort((shuffle.random(len(chips)), place[chips]))
    else:
        order = np.lexsort((numbers, chips, -score, late))
    best = order[affordable(pixels[order], allowance, most)]
    return [Pick(int(chips[i]), int(numbers[i]), int(pixels[i])) for i in best]


def _score(
    scores: CellScores, labels: NDArray[np.int32], generator: np.random.Generator
) -> NDArray[np.float32]:
    if scores.score is not None:
        return _array(scores.score.float())
    # One draw for each region: the mean of one draw for each cell varies more in small regions, which would
    # therefore stand first and last.
    return generator.random(int(labels.max(initial=0)) + 1, np.float32)[labels]


def _within(pixels: NDArray[np.int64], order: NDArray[np.int64], cap: int) -> NDArray[np.int64]:
    """Return the head of ``order`` up to the cap; the last region may exceed it, so that one always fits."""
    before = np.cumsum(pixels[order]) - pixels[order]
    return order[before < cap]


def _keep(
    regions: Regions, within_cap: NDArray[np.bool_], kept: NDArray[np.bool_]
) -> tuple[Regions, NDArray[np.bool_]]:
    numbers = np.zeros(len(kept) + 1, np.int32)
    numbers[1:][kept] = np.arange(1, np.count_nonzero(kept) + 1)
    smaller = Regions(
        numbers[regions.labels], regions.pixels[kept], regions.predicted[kept], regions.score[kept]
    )
    return smaller, within_cap[kept]


def _places(order: NDArray[np.int64]) -> NDArray[np.int64]:
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _vector(proposal: ChipProposal) -> NDArray[np.float32]:
    if proposal.vector is None:
        raise ValueError("a strategy that ranks chips must describe them")
    return proposal.vector


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.cpu().numpy()
