"""Episodic training of the weight module on labelled images.

The paper learns λ (arXiv 2501.19227, equations 6 to 9) but gives no loss that reaches it. Our reading is an
episode an image: half of the labelled cells are hidden, the others are support, and the hidden cells' classes
have to follow from their distances.
"""

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
    """Compute L_w = CE(−E_c / τ_E) + CE(−M_c / τ_M) on hidden cells, averaged over the images.

    Gradients reach λ and τ only.

    Args:
        f1: (N, D₁, h₁, w₁).
        f2: (N, D₂, h, w).
        labels: (N, h, w) uint8 from ``label_cells``; 255 where unlabelled.
        error_mask: (N, h, w) bool; its cells are hidden first.
        lambdas: (N, 2), from the weight module.
        temperatures: τ_E and τ_M, (2,), positive.
        config: covariance, and the number of cells that a class needs as support.
        classes: C.
        generator: of the hidden cells, on the device of ``labels``; None: the global one.

    Returns:
        A scalar; 0 (with a gradient) where no image has two classes with support.

    Raises:
        ConfigError: the features are not finite.
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
    """Draw half of the labelled cells of one image, those of the error mask first.

    Args:
        labels: (h, w) uint8; 255 where unlabelled.
        error_mask: (h, w) bool.
        generator: on the device of ``labels``; None: the global one.

    Returns:
        (h·w,) bool.
    """
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
    weights: tuple[Tensor, Tensor],
    config: PlarConfig,
    classes: int,
) -> list[Tensor]:
    """Return CE_E + CE_M of one image, in a list; empty where fewer than two classes have support."""
    cells = torch.where(hidden, IGNORE, labels).to(torch.uint8)
    available = cells_per_class(cells, classes) >= config.min_class_cells
    lookup = torch.zeros(256, dtype=torch.bool, device=labels.device)
    lookup[:classes] = available
    cells = torch.where(lookup[cells.long()], cells, IGNORE).to(torch.uint8)
    queries = (hidden & lookup[labels.long()]).nonzero()[:, 0]
    if int(available.sum()) < 2 or not len(queries):
        return []
    # A stride spreads the kept queries over the image; neighbours are nearly equal.
    queries = queries[:: -(-len(queries) // QUERIES)]
    support = Support(cells, cells, available)
    with torch.no_grad():
        distances = class_distances(features, support, queries, config)
    column = torch.zeros(256, dtype=torch.long, device=labels.device)
    column[distances.classes] = torch.arange(len(distances.classes), device=labels.device)
    target = column[labels[queries].long()]
    lambdas, temperatures = weights
    mixed = distances.mixed(lambdas)
    terms = [F.cross_entropy(-d / t, target) for d, t in zip(mixed, temperatures, strict=True)]
    return [terms[0] + terms[1]]
