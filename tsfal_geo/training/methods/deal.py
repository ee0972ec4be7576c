"""DEAL: supervised training with a branch that learns the difficulty of each cell (Xie et al. 2020)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.emd import emd_loss
from tsfal_geo.models.segmenter import Segmenter, upsample
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.methods.supervised import Supervised
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register

_POOL = 2
STRIDE = Segmenter.LOGIT_STRIDE * _POOL
"""Pixels a side of a cell of the branch: 86² cells for images of 688², as in the authors' code."""


class DifficultyBranch(nn.Module):
    """Attention between cells of similar class probabilities, then a 1×1 convolution to one logit.

    Attributes:
        gamma: weight of the attention, learnt from 0.
        score: the convolution.
    """

    def __init__(self, classes: int) -> None:
        """Build the branch.

        Args:
            classes: channels C of the segmenter's logits.
        """
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.score = nn.Conv2d(classes, 1, 1)

    def forward(self, logits: Tensor) -> Tensor:
        """Compute logits of difficulty.

        Args:
            logits: (N, C, h4, w4) of the segmenter, any precision.

        Returns:
            (N, 1, ⌈h4/2⌉, ⌈w4/2⌉) float32.
        """
        coarse = F.avg_pool2d(logits.float(), _POOL, ceil_mode=True).softmax(1)
        cells = coarse.flatten(2).transpose(1, 2)
        # Query, key and value are the probabilities themselves, and the dot products are not scaled.
        attended = F.scaled_dot_product_attention(cells, cells, cells, scale=1.0)
        difficulty: Tensor = self.score(self.gamma * attended.transpose(1, 2).view_as(coarse) + coarse)
        return difficulty


@register("deal")
class Deal(Supervised):
    """DEAL: L_sup plus the branch's class-balanced cross-entropy to the error mask, with weight 1."""

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the network, and the branch from the training's seed."""
        super().__init__(inputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(inputs.config.train.seed)
            self.hard = DifficultyBranch(len(inputs.class_names))

    def extra_groups(self) -> list[dict[str, Any]]:
        """Return the branch's parameters at the head's rate."""
        return [{"params": list(self.hard.parameters()), "factor": self.config.train.head_lr_mult}]

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """Compute L_sup + L_difficulty; the gradients of both reach the segmenter."""
        views = self.branch.paste(self.branch.views(batch["labelled"]), rng)
        output = self.network(self.prepared(views.images))
        log_p = log_probabilities(output.logits, views.size)
        supervised = self.branch.loss(output, log_p, views.labels)
        with torch.autocast(self.device.type, enabled=False):
            hard = upsample(self.hard(output.logits), STRIDE, views.size)
        wrong = log_p.detach().argmax(1) != views.labels
        difficulty = emd_loss(hard, wrong, views.labels != IGNORE)
        self.branch.bank.update(log_p.detach(), views.labels)
        return {"total": supervised + difficulty, "labelled": supervised, "labelled_difficulty": difficulty}

    def difficulty(self, logits: Tensor) -> Tensor:
        """Compute the difficulty of each stride-4 cell.

        Args:
            logits: (N, C, h4, w4) of the segmenter.

        Returns:
            (N, h4, w4) float32 in [0, 1].
        """
        size = (logits.shape[-2], logits.shape[-1])
        return upsample(self.hard(logits), _POOL, size)[:, 0].sigmoid()
