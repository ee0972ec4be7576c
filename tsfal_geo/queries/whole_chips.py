"""Queries of whole chips: the image-level protocol of DEAL (Xie et al. 2020)."""

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
    """Make one region of all askable pixels of a chip; its score is the mean over those pixels.

    Cells that are no candidates of the strategy count as 0. Without scores the chip gets a random one.

    Args:
        outputs: the networks' outputs on the chip.
        strategy: gives scores, candidates and the chip's vector.

    Returns:
        One region, or none where no pixel is askable.
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
    """Draw the chips that a strategy chooses from: a random share, or more if it cannot use up the budget.

    Args:
        pixels: (n,) int64, askable pixels of each chip.
        share: of the chips, in (0, 1].
        allowance: pixels of the round.
        seed: of the draw.

    Returns:
        (k,) int64 positions in ``pixels``, ascending.
    """
    order = np.random.default_rng((seed, _POOL_SALT)).permutation(len(pixels))
    enough = int(np.searchsorted(np.cumsum(pixels[order]), allowance)) + 1
    return np.sort(order[: max(ceil(share * len(pixels)), enough)])


def select_chips(
    proposals: Sequence[ChipProposal],
    allowance: int,
    strategy: Strategy,
    labelled: Sequence[NDArray[np.float32]] = (),
    most: int | None = None,
) -> list[Pick]:
    """Order the chips of the strategy's pool and pick whole chips within the allowance.

    Args:
        proposals: of all chips, in a fixed order, one region each.
        allowance: pixels; never exceeded.
        strategy: gives the kind of order, the share of the pool and the seed.
        labelled: (D,) vectors of the labelled chips, for strategies whose ``order`` is ``chips``.
        most: number of chips at most; None: no limit.

    Returns:
        The picked chips, best first.
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
    best = order[affordable(pixels[order], allowance, most)]
    return [Pick(int(i), 1, int(pixels[i])) for i in best]
