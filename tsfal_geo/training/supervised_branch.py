"""The supervised branch that all methods share: augmentation with copy-paste, loss, confidence bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import Config
from tsfal_geo.data.augment import WeakAugment
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.training.adaptive_augmentation import SCALE, draw_classes, paste, rescale, tail_classes
from tsfal_geo.training.banks import ConfidenceBank
from tsfal_geo.training.losses import class_weights, cross_entropy, image_cross_entropy, ohem_cross_entropy
from tsfal_geo.training.views import ChipSource, Sample, Views, collate, make_views

_AUX_WEIGHT = 0.4  # of the auxiliary head (AEL, Hu et al. 2021)


class SupervisedBranch(nn.Module):
    """Views of labelled chips with adaptive copy-paste, L_sup (Ma, Karakus, Rosin 2025, eq. 1), and the bank.

    Attributes:
        bank: running confidence of each class; copy-paste and CutMix draw by it.
        tail: indices of the rare classes, which copy-paste pastes; empty without copy-paste.
        weights: (C,) float32 class weights of the loss, or None.
        augment: the weak augmentation.
        source: gives the labelled chips that copy-paste pastes from.
    """

    weights: Tensor | None

    def __init__(
        self,
        config: Config,
        normaliser: Normaliser,
        source: ChipSource,
        class_counts: Sequence[int],
    ) -> None:
        """Create the branch.

        Args:
            config: the sections ``tsf`` (copy-paste, bank), ``train`` (loss, seed) and ``augment``.
            normaliser: turns batches of pixels into network input.
            source: gives the labelled chips that copy-paste pastes from.
            class_counts: (C,) labelled pixels of each class; rare classes are pasted and may weigh more.
        """
        super().__init__()
        tsf = config.tsf
        self.bank = ConfidenceBank(
            len(class_counts), tsf.bank_momentum, bool(tsf.absent_as_zero), config.train.seed
        )
        self.tail = tail_classes(class_counts) if tsf.copy_paste else ()
        weights = class_weights(class_counts) if config.train.class_weights == "inverse_sqrt" else None
        self.register_buffer("weights", weights, persistent=False)
        self.augment = WeakAugment(config.augment)
        self.config = config
        self.source = source
        self._normaliser = [
            normaliser
        ]  # in a list, so that it is registered as a part of the training module alone

    def views(self, batch: Sample) -> Views:
        """Augment a collated labelled batch weakly and normalise it, before copy-paste.

        Args:
            batch: an item of the training stream, on its device.
        """
        return make_views(batch, self._normaliser[0], self.augment)

    def paste(self, views: Views, rng: np.random.Generator) -> Views:
        """Paste rare classes of other labelled chips onto a random part of the images.

        Args:
            views: the labelled images.
            rng: the step's random numbers.

        Returns:
            Views with new images and labels.
        """
        if not self.tail:
            return views
        chosen = rng.random(len(views.images)) < self.config.tsf.copy_paste_probability
        images, labels = list(views.images), list(views.labels)
        for i in np.flatnonzero(chosen):
            images[i], labels[i] = self._paste_one(images[i], labels[i], rng)
        return replace(views, images=torch.stack(images), labels=torch.stack(labels))

    def loss(self, output: SegmenterOutput, log_p: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy of the labels, plus 0.4 times that of the auxiliary head.

        Partly labelled chips are read in proportion to their labelled share. Averaging each image by itself
        then gives every labelled pixel of the training set the same expected weight: a chip with the share s
        of labels is read with probability ∝ s, and each of its pixels has weight ∝ 1/s.

        Args:
            output: a network's output whose first images are the labelled ones.
            log_p: (N, C, H, W) log-probabilities of the labelled images.
            target: (N, H, W) int64 class indices, 255 ignored.

        Returns:
            A scalar.
        """
        plain = image_cross_entropy if self.source.sparse else cross_entropy
        criterion = ohem_cross_entropy if self.config.train.ohem else plain
        loss = criterion(log_p, target, self.weights)
        if output.aux is None:
            return loss
        aux = output.aux[: len(target)].float()
        aux = F.interpolate(aux, target.shape[-2:], mode="bilinear", align_corners=False)
        return loss + _AUX_WEIGHT * criterion(F.log_softmax(aux, dim=1), target, self.weights)

    def _paste_one(self, image: Tensor, label: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        sample = self.source.labelled_sample(rng)
        donor: dict[str, Any] = collate([sample], rng, image.device)
        donor_image, donor_label = rescale(
            self._normaliser[0](donor)[0],
            donor["mask"][0].long(),
            rng.uniform(*SCALE),
            IGNORE,
            rng,
        )
        probabilities = self.bank.pasting_probabilities(self.tail)
        classes = draw_classes(self.tail, probabilities, self.config.tsf.copy_paste_classes, rng)
        return paste(image, label, donor_image, donor_label, classes)
