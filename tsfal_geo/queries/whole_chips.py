"""Queries that are whole chips: the image-level protocol of VAAL and DEAL (method, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.queries.budget import affordable
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.ranking import ChipProposal, Pick
from tsfal_geo.queries.regions import measure_regions
from tsfal_geo.queries.strategy import Strategy

_POOL_SALT = 0x3C1B


def propose_chip(outputs: ChipOutputs, strategy: Strategy) -> ChipProposal:
    """All that may be asked of a chip as one region; its score is the mean over those pixels.

    Cells that are no candidates of the strategy's score 0; without a score the chip gets a random one.
    """
    scores = strategy.score(outputs)
    askable = outputs.askable.cpu().numpy()
    candidate = scores.candidate.cpu().numpy()
    if scores.score is None:
        drawn = strategy.generator(outputs.key).random(dtype=np.float32)
        score = np.full(askable.shape, drawn, np.float32)
    else:
        score = np.where(candidate, scores.score.float().cpu().numpy(), np.float32(0))
    labels = (askable > 0).astype(np.int32)
    predicted = outputs.probs.argmax(0).cpu().numpy().astype(np.uint8)
    regions = measure_regions(labels, predicted, askable, score)
    return ChipProposal(outputs.key, regions, np.ones(len(regions), bool), strategy.chip_vector(outputs))


def draw_pool(pixels: NDArray[np.int64], share: float, allowance: int, seed: int) -> NDArray[np.int64]:
    """Chips among which a strategy chooses: a random share, more only if those can't use up the budget.

    Args:
        pixels: of each chip.
        share: of the chips.
        allowance: pixels.
        seed: of the draw.

    Returns:
        Positions, ascending.
    """
    order = np.random.default_rng((seed, _POOL_SALT)).permutation(len(pixels))
    enough = int(np.searchsorted(np.cumsum(pixels[order]), allowance)) + 1
    return np.sort(order[: max(ceil(share * len(pixels)), enough)])


def select_chips(
    proposals: Sequence[ChipProposal],
    allowance: int,
    strategy: Strategy,
    labelled: Sequence[NDArray[np.float32]] = (),
) -> list[Pick]:
    """Order the chips of the strategy's pool and pick those that the allowance pays for; best first.

    Args:
        proposals: of all chips, in a fixed order, one region each.
        allowance: pixels; never exceeded.
        strategy: its kind of order, its pool and its seed.
        labelled: vectors of the labelled chips, for strategies that rank chips.
    """
    if not proposals:
        return []
    pixels = np.array([p.regions.pixels[0] for p in proposals])
    pool = draw_pool(pixels, strategy.pool_share, allowance, strategy.seed)
    if strategy.order == "chips":
        vectors = [proposals[i].vector for i in pool]
        order = pool[strategy.rank_chips([v for v in vectors if v is not None], labelled)]
    else:
        score = np.array([proposals[i].regions.score[0] for i in pool])
        order = pool[np.argsort(-score, kind="stable")]
    best = order[affordable(pixels[order], allowance)]
    return [Pick(int(i), 1, int(pixels[i])) for i in best]
