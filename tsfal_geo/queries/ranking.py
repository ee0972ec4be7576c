"""From scores on cells to one order of queries over all chips (method, section 4.7).

Two steps, so that memory stays bounded whatever the number of chips: ``propose`` turns one chip's output into
a few numbered regions and forgets the rest; ``select`` orders the regions of all chips and spends the
allowance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.config import ActiveConfig
from tsfal_geo.queries.budget import affordable
from tsfal_geo.queries.chip_outputs import ChipKey, ChipOutputs
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
    """One chip's proposals.

    Attributes:
        key: (scene, row, col).
        regions: numbered from 1.
        within_cap: regions within the chip's cap, (R,) bool; the others are asked only if budget is left over.
        vector: the strategy's description of the chip; None where it needs none.
    """

    key: ChipKey
    regions: Regions
    within_cap: NDArray[np.bool_]
    vector: NDArray[np.float32] | None


@dataclass(frozen=True)
class Pick:
    """One chosen region.

    Attributes:
        chip: position in the sequence given to ``select``.
        region: its number in that chip.
        pixels: what it costs.
    """

    chip: int
    region: int
    pixels: int


def chip_cap(allowance: int, chips: int, config: ActiveConfig) -> int:
    """Pixels that one chip may give before others had their turn: ``image_cap`` even shares."""
    return max(int(config.image_cap * allowance / max(chips, 1)), 1)


def propose(outputs: ChipOutputs, strategy: Strategy, config: ActiveConfig, cap: int) -> ChipProposal:
    """Cut one chip into regions, score them and mark those within the chip's cap.

    Args:
        outputs: of the chip.
        strategy: scores and candidates.
        config: granularity, sizes, ranking.
        cap: from ``chip_cap``.
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
        whole = scores.joinable if config.ranking == "strong" else None
        cells = candidate if whole is None else _array(whole)
        labels = connected_regions(cells, predicted, askable, config.min_region, config.max_region)
        if whole is not None:
            labels = regions_with_candidates(labels, candidate)
    regions = measure_regions(
        labels, predicted, askable, _score(scores, labels, strategy.generator(outputs.key))
    )
    if strategy.per_chip:
        first = np.zeros(len(regions), bool)
        first[np.argsort(-regions.score, kind="stable")[: strategy.per_chip]] = True
        return ChipProposal(outputs.key, regions, first, strategy.chip_vector(outputs))
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
    first = np.zeros(len(regions), bool)
    first[chosen] = True
    kept = np.zeros(len(regions), bool)
    kept[pool] = True
    return ChipProposal(outputs.key, *_keep(regions, first, kept), strategy.chip_vector(outputs))


def select(
    proposals: Sequence[ChipProposal],
    allowance: int,
    strategy: Strategy,
    ranking: Literal["paper", "strong"] | None,
    labelled: Sequence[NDArray[np.float32]] = (),
) -> list[Pick]:
    """Order the regions of all chips and pick those that the allowance pays for; best first.

    ``paper``: chips in random order, all candidates of one before the next. ``strong``: by mean entropy,
    regions within their chip's cap first; a chip's single cells are spread over its features.

    Args:
        proposals: of all chips, in a fixed order.
        allowance: pixels; never exceeded.
        strategy: its kind of order and its seed.
        ranking: for strategies with a mask of candidates.
        labelled: vectors of the labelled chips, for strategies that rank chips.
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
    best = order[affordable(pixels[order], allowance)]
    return [Pick(int(chips[i]), int(numbers[i]), int(pixels[i])) for i in best]


def farthest_points(points: Tensor) -> NDArray[np.int64]:
    """Order points so that each is the farthest (Euclid) from all before it; begins with the first.

    Args:
        points: (n, D).

    Returns:
        (n,) positions; ties go to the lower position.
    """
    centred = points.float() - points.float().mean(0)
    squares = centred.square().sum(1)
    distances = _array(squares[:, None] + squares - 2 * (centred @ centred.T))
    order = np.zeros(len(distances), np.int64)
    nearest = distances[0].copy()
    nearest[0] = -np.inf
    for i in range(1, len(order)):
        order[i] = nearest.argmax()
        np.minimum(nearest, distances[order[i]], out=nearest)
        nearest[order[i]] = -np.inf
    return order


def _score(
    scores: CellScores, labels: NDArray[np.int32], generator: np.random.Generator
) -> NDArray[np.float32]:
    if scores.score is not None:
        return _array(scores.score.float())
    # One draw a region: the mean of draws a cell would put small regions first and last.
    return generator.random(int(labels.max(initial=0)) + 1, np.float32)[labels]


def _within(pixels: NDArray[np.int64], order: NDArray[np.int64], cap: int) -> NDArray[np.int64]:
    """The first of ``order`` until the cap is reached; the last may pass it, so that one always fits."""
    before = np.cumsum(pixels[order]) - pixels[order]
    return order[before < cap]


def _keep(
    regions: Regions, first: NDArray[np.bool_], kept: NDArray[np.bool_]
) -> tuple[Regions, NDArray[np.bool_]]:
    numbers = np.zeros(len(kept) + 1, np.int32)
    numbers[1:][kept] = np.arange(1, np.count_nonzero(kept) + 1)
    smaller = Regions(
        numbers[regions.labels], regions.pixels[kept], regions.predicted[kept], regions.score[kept]
    )
    return smaller, first[kept]


def _places(order: NDArray[np.int64]) -> NDArray[np.int64]:
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _vector(proposal: ChipProposal) -> NDArray[np.float32]:
    if proposal.vector is None:
        raise ValueError("a strategy that ranks chips must describe them")
    return proposal.vector


def _array(tensor: Tensor) -> NDArray:
    return tensor.cpu().numpy()
