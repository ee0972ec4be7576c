"""The refiner: error mask decoder, weight module, class bank and PLAR as one module.

The trainer calls it in each step of TSF, and the inspector of chips at the end of a round (Ma, Karakus,
Rosin, arXiv 2501.19227).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import EmdConfig, PlarConfig
from tsfal_geo.models.emd import ErrorMaskDecoder, emd_loss, plain_emd_loss
from tsfal_geo.models.head import FEATURES, upsample
from tsfal_geo.models.io import part_tensors
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.refinement.class_bank import ClassBank
from tsfal_geo.refinement.distance_weights import DistanceWeights
from tsfal_geo.refinement.episodes import episodic_loss
from tsfal_geo.refinement.error_mask import (
    TeacherPrediction,
    cell_share,
    classify,
    emd_pixels,
    emd_target,
    error_mask,
)
from tsfal_geo.refinement.plar import PlarResult, plar, stack_results
from tsfal_geo.refinement.refined_labels import LabelSource, RefinedLabels, RefinerOutput, merge_labels
from tsfal_geo.refinement.support import CELL, label_cells, supported_by_labels

PART_NAME = "refiner"
"""The name under which a model's folder keeps the refiner."""
_READY = 20
# A covariance costs as much as a tenth of a step, and the bank changes slowly.
_BANK_EVERY = 10


class ActiveRefiner(nn.Module):
    """Find the teacher's errors, and correct those that the feature space decides.

    Checkpoints hold its parameters and buffers by their names, so these names are part of the file format.

    Attributes:
        trained: steps that the decoder has been trained for, int64 scalar; below 20 it is not used.
        without_decoder: steps of training without the decoder, int64 scalar.
        threshold: of the decoder's error probability, float32 scalar. It is saved with the model, but the
            configured value always holds.
    """

    trained: Tensor
    without_decoder: Tensor
    threshold: Tensor

    def __init__(
        self,
        emd: EmdConfig,
        plar: PlarConfig,
        classes: int,
        *,
        refining: bool,
        squared_weights: bool = False,
        seed: int = 0,
    ) -> None:
        """Build decoder, weight module and class bank.

        Args:
            emd: settings of the error mask decoder.
            plar: settings of PLAR.
            classes: C.
            refining: whether ``refine`` corrects pseudo-labels in training. Otherwise only manual labels
                override them.
            squared_weights: whether the teacher's loss squares the weights that ``refine`` returns.
            seed: of the parameters. The global random state stays as it is.
        """
        super().__init__()
        self.emd_config = emd
        self.plar_config = plar
        self.classes = classes
        self.refining = refining
        self.squared_weights = squared_weights
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.emd = ErrorMaskDecoder(classes, first_kernel=emd.kernel or 1)
            self.weighting = DistanceWeights(plar.lambda_init)
        self.bank = ClassBank(classes, (FEATURES, FEATURES))
        self.register_buffer("trained", torch.zeros((), dtype=torch.int64))
        self.register_buffer("without_decoder", torch.zeros((), dtype=torch.int64))
        self.register_buffer("threshold", torch.tensor(emd.threshold or 0.5))

    def parameters_to_train(self) -> list[dict[str, Any]]:
        """Return AdamW's parameter groups: the decoder, and the weight module where λ is learned."""
        emd = self.emd_config
        groups = []
        if emd.enabled:
            groups.append({"params": self.emd.parameters(), "lr": emd.lr, "weight_decay": emd.weight_decay})
        if self._learns_weights:
            parameters = self.weighting.parameters()
            groups.append({"params": parameters, "lr": self.plar_config.weight_lr, "weight_decay": 0.0})
        return groups

    def training_loss(self, teacher: SegmenterOutput, target: Tensor, step_fraction: float) -> Tensor | None:
        """Compute the loss of decoder (equation 5) and weight module on labelled images.

        Every tenth step also adds the images to the class bank.

        Args:
            teacher: output with features, float32.
            target: (B, H, W) uint8 true classes, 255 where unknown.
            step_fraction: share of the training that is done, in [0, 1].

        Returns:
            A scalar; None before the decoder's start, and where neither module trains.

        Raises:
            ConfigError: the features are not finite.
        """
        if step_fraction < self.emd_config.start:
            return None
        f1, f2 = _features(teacher)
        labels = label_cells(target, self.plar_config.purity)
        if int(self.trained + self.without_decoder) % _BANK_EVERY == 0:
            for i in range(len(labels)):
                self.bank.update(f1[i], f2[i], labels[i])
        probs = teacher.logits.softmax(1)
        pseudo = probs.argmax(1).to(torch.uint8)
        wrong, valid = emd_target(pseudo, labels)
        losses = []
        logit = None
        if self.emd_config.enabled:
            logit = self.emd(f1, f2, probs)
            losses.append(self._decoder_loss(logit, teacher, target, wrong, valid))
            self.trained += 1
        else:
            self.without_decoder += 1
        if self._learns_weights:
            score = None if logit is None else logit.detach()[:, 0].sigmoid()
            mask = self._mask(probs.amax(1), score, valid)
            losses.append(
                episodic_loss(
                    f1,
                    f2,
                    labels,
                    mask,
                    self._lambdas(teacher),
                    self.weighting.temperatures,
                    self.plar_config,
                    self.classes,
                )
            )
        return torch.stack(losses).sum() if losses else None

    @torch.no_grad()
    def refine(
        self,
        teacher: SegmenterOutput,
        pseudo: Tensor,
        conf: Tensor,
        manual: Tensor,
        step_fraction: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute labels and weights for L_t (equation 2); see ``training.refiner_protocol.Refiner``.

        Raises:
            ConfigError: the features are not finite.
        """
        if not self.refining:
            by_hand = manual != IGNORE
            labels, nowhere = torch.where(by_hand, manual.long(), pseudo), torch.zeros_like(by_hand)
            return labels, conf.masked_fill(by_hand, 1.0), nowhere
        output = self.mask_and_vote(teacher, pseudo != IGNORE, manual, conf, self.decode(teacher))
        merged = self.merge(output, TeacherPrediction(pseudo.to(torch.uint8), conf), manual)
        weight = merged.weight * merged.conf
        refined = merged.source == int(LabelSource.REFINED)
        if self.squared_weights:
            # The loss squares confidences; a vote's margin has to count as it is.
            weight = torch.where(refined, weight.sqrt(), weight)
        supported = supported_by_labels(label_cells(manual, self.plar_config.purity), self.plar_config)
        return merged.labels.long(), weight, refined & supported[:, None, None]

    @torch.no_grad()
    def decode(self, teacher: SegmenterOutput) -> Tensor | None:
        """Run the error mask decoder, in evaluation mode.

        Args:
            teacher: output with features, float32.

        Returns:
            Logits (N, 1, h, w) float32; None while the decoder is untrained or off.
        """
        if not self.emd_config.enabled or int(self.trained) < _READY:
            return None
        training = self.emd.training
        self.emd.eval()
        logit: Tensor = self.emd(teacher.f1, teacher.f2, teacher.logits.softmax(1)).float()
        self.emd.train(training)
        return logit

    @torch.no_grad()
    def mask_and_vote(
        self, teacher: SegmenterOutput, valid: Tensor, manual: Tensor, conf: Tensor, logit: Tensor | None
    ) -> RefinerOutput:
        """Compute the error masks of images, and PLAR's votes inside them.

        Args:
            teacher: output with features, float32.
            valid: (N, H, W) bool, pixels of the image.
            manual: (N, H, W) uint8, annotators' labels; 255 where there are none.
            conf: (N, H, W) float32, the teacher's confidence on pixels.
            logit: from ``decode``.

        Raises:
            ConfigError: the features are not finite.
        """
        probs = teacher.logits.softmax(1)
        cell_valid = cell_share(valid) >= 0.5
        cells = classify(probs, cell_valid)
        score = None if logit is None else logit[:, 0].sigmoid()
        by_hand = manual != IGNORE
        mask = self._mask(cells.conf, score, cell_valid & (cell_share(by_hand) == 0))
        size = (valid.shape[1], valid.shape[2])
        pixel_score = None if logit is None else emd_pixels(logit, size)
        pixel_mask = self._mask(conf, pixel_score, valid & ~by_hand)
        votes = self._votes(teacher, cells, mask, label_cells(manual, self.plar_config.purity))
        return RefinerOutput(probs, cells, logit, mask, pixel_mask, votes)

    def merge(self, output: RefinerOutput, pixels: TeacherPrediction, manual: Tensor) -> RefinedLabels:
        """Merge manual labels, votes and pseudo-labels.

        Args:
            output: from ``mask_and_vote``.
            pixels: the teacher's prediction at full resolution.
            manual: (N, H, W) uint8, annotators' labels; 255 where there are none.
        """
        return merge_labels(pixels, output.pixel_mask, output.votes, manual, self.plar_config)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load all but the threshold; states of older versions have no count of steps without the decoder."""
        count = f"{prefix}without_decoder"
        own = {count: state_dict.get(count, self.without_decoder), f"{prefix}threshold": self.threshold}
        super()._load_from_state_dict({**state_dict, **own}, prefix, *rest)

    @property
    def _learns_weights(self) -> bool:
        return self.plar_config.enabled and self.plar_config.lambda_mode == "learned"

    def _decoder_loss(
        self, logit: Tensor, teacher: SegmenterOutput, target: Tensor, wrong: Tensor, valid: Tensor
    ) -> Tensor:
        if self.emd_config.loss != "pixels":
            return emd_loss(logit, wrong, valid)
        size = (target.shape[1], target.shape[2])
        pseudo = upsample(teacher.logits, CELL, size).argmax(1).to(torch.uint8)
        return plain_emd_loss(upsample(logit.float(), CELL, size), *emd_target(pseudo, target))

    def _votes(
        self, teacher: SegmenterOutput, cells: TeacherPrediction, mask: Tensor, manual: Tensor
    ) -> PlarResult:
        f1, f2 = _features(teacher)
        voting = mask if self.plar_config.enabled else torch.zeros_like(mask)
        lambdas = self._lambdas(teacher)
        results = [
            plar(
                f1[i],
                f2[i],
                cells.pseudo[i],
                cells.conf[i],
                voting[i],
                manual[i],
                lambdas[i],
                self.plar_config,
                self.classes,
                self.bank,
            )
            for i in range(len(mask))
        ]
        return stack_results(results)

    def _lambdas(self, teacher: SegmenterOutput) -> Tensor:
        f1, f2 = _features(teacher)
        lambdas: Tensor = self.weighting(f1.mean((2, 3)), f2.mean((2, 3)))
        return lambdas

    def _mask(self, conf: Tensor, score: Tensor | None, keep: Tensor) -> Tensor:
        return error_mask(conf, score, keep, self.plar_config.confidence, float(self.threshold))


def _features(teacher: SegmenterOutput) -> tuple[Tensor, Tensor]:
    assert teacher.f1 is not None
    assert teacher.f2 is not None
    return teacher.f1, teacher.f2


def load_error_decoder(folder: Path, classes: int) -> tuple[ErrorMaskDecoder | None, float | None]:
    """Load the error mask decoder of a saved model, and the threshold of its probability.

    Args:
        folder: of a model that was saved with its refiner as `PART_NAME`.
        classes: channels of the probabilities.

    Returns:
        Both None where the model has no decoder, or one that is trained too little to be used.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    state = part_tensors(folder, PART_NAME)
    if int(state.get("trained", torch.zeros(()))) < _READY:
        return None, None
    weights = {key.removeprefix("emd."): value for key, value in state.items() if key.startswith("emd.")}
    decoder = ErrorMaskDecoder(classes, first_kernel=1 if "coarse.weight" in weights else 3)
    decoder.load_state_dict(weights)
    return decoder, float(state["threshold"])
