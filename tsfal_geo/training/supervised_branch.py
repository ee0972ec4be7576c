"""The supervised branch that TSF and the supervised baseline share: copy-paste, loss, confidence bank."""

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
from tsfal_geo.training import adaptive_augmentation as copypaste
from tsfal_geo.training.banks import ConfidenceBank
from tsfal_geo.training.losses import class_weights, cross_entropy, image_cross_entropy, ohem_cross_entropy
from tsfal_geo.training.views import ChipSource, Sample, Views, collate, make_views

_AUX_WEIGHT = 0.4


class SupervisedBranch(nn.Module):
    """Labelled views with adaptive copy-paste, the supervised loss, and the bank that both feed on.

    Attributes:
        bank: how well each class is known.
        weights: (C,) of the classes in the loss, or None.
    """

    weights: Tensor | None

    def __init__(
        self,
        config: Config,
        normaliser: Normaliser,
        source: ChipSource,
        class_counts: Sequence[int],
    ) -> None:
        """Set up the branch.

        Args:
            config: the whole configuration.
            normaliser: makes network input of batches.
            source: gives the labelled chips that are pasted from.
            class_counts: (C,) labelled pixels of each class; the rare ones are pasted and may weigh more.
        """
        super().__init__()
        tsf = config.tsf
        self.bank = ConfidenceBank(
            len(class_counts), tsf.bank_momentum, bool(tsf.absent_as_zero), config.train.seed
        )
        self.tail = copypaste.tail_classes(class_counts) if tsf.copy_paste else ()
        weighs = config.train.class_weights == "inverse_sqrt"
        weights = class_weights(class_counts) if weighs else None
        self.register_buffer("weights", weights, persistent=False)
        self.augment = WeakAugment(config.augment)
        self.config = config
        self.source = source
        self._normaliser = [normaliser]  # in a list: it belongs to the training module, not to this one

    def views(self, batch: Sample) -> Views:
        """The weakly augmented labelled batch, before anything is pasted."""
        return make_views(batch, self._normaliser[0], self.augment)

    def paste(self, views: Views, rng: np.random.Generator) -> Views:
        """Paste rare classes of other labelled chips onto some of the images."""
        if not self.tail:
            return views
        chosen = rng.random(len(views.images)) < self.config.tsf.copy_paste_probability
        images, labels = list(views.images), list(views.labels)
        for i in np.flatnonzero(chosen):
            images[i], labels[i] = self._paste_one(images[i], labels[i], rng)
        return replace(views, images=torch.stack(images), labels=torch.stack(labels))

    def loss(self, output: SegmenterOutput, log_p: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy (OHEM, weighted classes where configured), plus 0.4 times the auxiliary head's.

        Chips labelled in part are read as seldom as little of them is labelled. With a mean over each image
        every labelled pixel of the training set counts alike, in whichever chip it lies.

        Args:
            output: a network's output whose first images are the labelled ones.
            log_p: (N, C, H, W) log-probabilities of the labelled images.
            target: (N, H, W) int64 class indices, 255 ignored.
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
        donor_image, donor_label = copypaste.rescale(
            self._normaliser[0](donor)[0],
            donor["mask"][0].long(),
            rng.uniform(*copypaste.SCALE),
            IGNORE,
            rng,
        )
        probabilities = self.bank.pasting_probabilities(self.tail)
        classes = copypaste.draw_classes(self.tail, probabilities, self.config.tsf.copy_paste_classes, rng)
        return copypaste.paste(image, label, donor_image, donor_label, classes)
