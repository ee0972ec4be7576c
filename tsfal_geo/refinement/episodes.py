"""Learning how much to trust each level: episodes on labelled images (method, section 4.5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.distances import class_distances
from tsfal_geo.refinement.support import Support, cells_per_class

HIDDEN = 0.5
QUERIES = 1024


def episodic_loss(
    f1: Tensor,
    f2: Tensor,
    labels: Tensor,
    error_mask: Tensor,
    lambdas: Tensor,
    temperatures: Tensor,
    config: PlarConfig,
    classes: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """L_w = CE(−E_c / τ_E) + CE(−M_c / τ_M) on hidden cells, averaged over the images.

    Half of the labelled cells are hidden and asked for, those of the error mask first; the others are
    support. Gradients reach the λ and τ only.

    Args:
        f1: (N, D₁, h₁, w₁).
        f2: (N, D₂, h, w).
        labels: (N, h, w) uint8 from ``label_cells``; 255 where unlabelled.
        error_mask: (N, h, w) bool.
        lambdas: (N, 2), from the weight module.
        temperatures: (2,) positive: τ_E, τ_M.
        config: the covariance's choice.
        classes: C.
        generator: of the hiding, on the device of ``labels``.

    Returns:
        a scalar; 0 (with gradient) where no image has an episode.
    """
    losses = []
    with torch.autocast(f2.device.type, enabled=False):
        for i in range(len(f2)):
            hidden = hide_cells(labels[i], error_mask[i], generator)
            losses += _episode(
                (f1[i].detach().float(), f2[i].detach().float()),
                labels[i].flatten(),
                hidden,
                (lambdas[i].float(), temperatures.float()),
                config,
                classes,
            )
        if not losses:
            return 0.0 * (lambdas.float().sum() + temperatures.float().sum())
        return torch.stack(losses).mean()


def hide_cells(labels: Tensor, error_mask: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw half of the labelled cells of one image, those of the error mask first; (h·w,) bool."""
    labelled, preferred = labels.flatten() != IGNORE, error_mask.flatten()
    order = torch.rand(len(labelled), generator=generator, device=labels.device)
    order = order + preferred.float() - 2 * (~labelled).float()
    count = int(HIDDEN * int(labelled.sum()))
    hidden = torch.zeros_like(labelled)
    hidden[order.topk(count).indices] = True
    return hidden


def _episode(
    features: tuple[Tensor, Tensor],
    labels: Tensor,
    hidden: Tensor,
    learnt: tuple[Tensor, Tensor],
    config: PlarConfig,
    classes: int,
) -> list[Tensor]:
    """CE_E + CE_M of one image, in a list; empty where fewer than two classes have support."""
    cells = torch.where(hidden, IGNORE, labels).to(torch.uint8)
    available = cells_per_class(cells, classes) >= config.min_class_cells
    lookup = torch.zeros(256, dtype=torch.bool, device=labels.device)
    lookup[:classes] = available
    cells = torch.where(lookup[cells.long()], cells, IGNORE).to(torch.uint8)
    queries = (hidden & lookup[labels.long()]).nonzero()[:, 0]
    if int(available.sum()) < 2 or not len(queries):
        return []
    # A stride spreads the kept queries over the image; neighbours say nearly the same.
    queries = queries[:: -(-len(queries) // QUERIES)]
    with torch.no_grad():
        distances = class_distances(features, Support(cells, cells, available), queries, config)
    column = torch.zeros(256, dtype=torch.long, device=labels.device)
    column[distances.classes] = torch.arange(len(distances.classes), device=labels.device)
    target = column[labels[queries].long()]
    lambdas, temperatures = learnt
    mixed = distances.mixed(lambdas)
    terms = [F.cross_entropy(-d / t, target) for d, t in zip(mixed, temperatures, strict=True)]
    return [terms[0] + terms[1]]
