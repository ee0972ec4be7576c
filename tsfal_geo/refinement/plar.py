"""Pseudo-label auto-refinement (PLAR): a vote of two distances on the cells of the error mask.

Ma, Karakus, Rosin, arXiv 2501.19227, equations 6 to 9. Each cell's nearest class by Euclidean and by
Mahalanobis distance is found. Where both are the same class, it becomes the cell's label; where they
differ, the cell goes to the query pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.class_bank import ClassBank
from tsfal_geo.refinement.distances import Distances, bank_distances, class_distances
from tsfal_geo.refinement.support import Support, choose_support


@dataclass(frozen=True)
class PlarResult:
    """PLAR's votes on the cells of one image, (h, w), or of N images, (N, h, w), from ``stack_results``.

    Attributes:
        refined: the class that both distances agree on, uint8; 255 without a vote and outside the mask.
        disagree: cells of the mask without a vote, bool: the query pool.
        margin: clearness of the vote, float32 in [0, 1], by the weaker of the two distances; 0 without a
            vote.
        euclid: nearest class by Euclidean distance, uint8; 255 outside the mask and where there is no
            support.
        mahalanobis: nearest class by Mahalanobis distance, likewise.
        available: classes that had support, (C,) bool.
    """

    refined: Tensor
    disagree: Tensor
    margin: Tensor
    euclid: Tensor
    mahalanobis: Tensor
    available: Tensor


@torch.no_grad()
def plar(
    f1: Tensor,
    f2: Tensor,
    pseudo: Tensor,
    conf: Tensor,
    error_mask: Tensor,
    manual: Tensor,
    lambdas: Tensor,
    config: PlarConfig,
    classes: int,
    bank: ClassBank | None = None,
) -> PlarResult:
    """Refine the pseudo-labels of one image inside its error mask.

    Three rules are our reading, where the paper is silent. A class without support is infinitely far.
    There is no vote where fewer than two classes are available, since it would always be unanimous, and
    none against a pseudo-label whose class is not available, since that class could not win. Votes below
    ``config.min_margin`` do not count. Cells without a vote go to the query pool. With
    ``config.every_vote``, all votes of the image's own statistics count, as in the paper.

    Args:
        f1: (D₁, h₁, w₁); counts as upsampled bilinearly to F2's grid.
        f2: (D₂, h, w).
        pseudo: (h, w) uint8, the teacher's classes; 255 on padding.
        conf: (h, w), the teacher's largest probability.
        error_mask: (h, w) bool, without manual cells and padding.
        manual: (h, w) uint8 from ``label_cells``; 255 where no annotator labelled.
        lambdas: (2,), share of level 1 in the Euclidean and in the Mahalanobis mixture.
        config: support, covariance and least margin.
        classes: C.
        bank: global statistics for an image without support; None: such an image gets no vote.

    Returns:
        Votes on the (h, w) cells.

    Raises:
        ConfigError: the features are not finite.
    """
    with torch.autocast(f2.device.type, enabled=False):
        support = choose_support(manual, pseudo, conf, error_mask, config, classes)
        queries = error_mask.flatten().nonzero()[:, 0]
        distances = _distances((f1.float(), f2.float()), support, queries, config, bank)
        if distances is None:
            return _no_vote(error_mask, support.available)
        can_win = torch.isin(pseudo.flatten()[queries], distances.classes.to(pseudo.dtype))
        if config.every_vote:
            can_win = torch.ones_like(can_win)
        ballots = [_ballot(mixed) for mixed in distances.mixed(lambdas.float())]
        return _vote(
            ballots,
            distances.classes,
            queries,
            can_win,
            config.min_margin or 0.0,
            error_mask,
            support.available,
        )


def stack_results(results: Sequence[PlarResult]) -> PlarResult:
    """Stack the results of images of one size along a leading image axis.

    Args:
        results: one an image, at least one.
    """
    return PlarResult(
        *(
            torch.stack([getattr(result, name) for result in results])
            for name in PlarResult.__dataclass_fields__
        )
    )


def _distances(
    features: tuple[Tensor, Tensor],
    support: Support,
    queries: Tensor,
    config: PlarConfig,
    bank: ClassBank | None,
) -> Distances | None:
    if not len(queries):
        return None
    available = int(support.available.sum())
    if available >= (1 if config.every_vote else 2):
        return class_distances(features, support, queries, config)
    if available == 0 and not config.every_vote and bank is not None and int(bank.seen.sum()) >= 2:
        return bank_distances(features, bank, queries)
    return None


def _no_vote(error_mask: Tensor, available: Tensor) -> PlarResult:
    nothing = torch.full_like(error_mask, IGNORE, dtype=torch.uint8)
    margin = torch.zeros_like(error_mask, dtype=torch.float32)
    return PlarResult(nothing, error_mask.clone(), margin, nothing, nothing, available)


def _vote(
    ballots: Sequence[tuple[Tensor, Tensor]],
    classes: Tensor,
    queries: Tensor,
    can_win: Tensor,
    least: float,
    error_mask: Tensor,
    available: Tensor,
) -> PlarResult:
    (nearest_e, gap_e), (nearest_m, gap_m) = ballots
    agreed = (nearest_e == nearest_m) & can_win
    gap = torch.minimum(gap_e, gap_m)
    margin = torch.where(agreed, _weight(gap, agreed), torch.zeros_like(gap))
    agreed &= margin >= least
    margin = margin.masked_fill(~agreed, 0.0)
    names = classes.to(torch.uint8)
    ignore = torch.full_like(nearest_e, IGNORE, dtype=torch.uint8)

    def scatter(values: Tensor, fill: float) -> Tensor:
        plane = torch.full(error_mask.shape, fill, dtype=values.dtype, device=values.device)
        plane.view(-1)[queries] = values
        return plane

    voted_e, voted_m = names[nearest_e], names[nearest_m]
    return PlarResult(
        refined=scatter(torch.where(agreed, voted_e, ignore), IGNORE),
        disagree=scatter(~agreed, False),
        margin=scatter(margin, 0.0),
        euclid=scatter(voted_e, IGNORE),
        mahalanobis=scatter(voted_m, IGNORE),
        available=available,
    )


def _ballot(distances: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nearest column and its relative gap to the second, (second − best) / second in [0, 1].

    A lone column has the gap 0.
    """
    two, order = distances.topk(min(2, distances.shape[1]), dim=1, largest=False)
    tiny = torch.finfo(two.dtype).tiny
    return order[:, 0], (two[:, -1] - two[:, 0]) / two[:, -1].clamp_min(tiny)


def _weight(gap: Tensor, agreed: Tensor) -> Tensor:
    """Scale gaps to weights: ½ at the median of the agreed cells, whatever the features' dimension."""
    if not bool(agreed.any()):
        return torch.zeros_like(gap)
    typical = gap[agreed].median()
    return gap / (gap + typical).clamp_min(torch.finfo(gap.dtype).tiny)
