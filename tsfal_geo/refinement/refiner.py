"""Error mask decoder, distance weights and PLAR as one module: in TSF's step and over all chips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import Config
from tsfal_geo.models.emd import ErrorMaskDecoder, emd_loss
from tsfal_geo.models.head import FEATURES
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
from tsfal_geo.refinement.refined_labels import LabelSource, RefinedLabels, merge_labels
from tsfal_geo.refinement.support import label_cells, supported_by_labels

PART_NAME = "refiner"
"""The name under which a model's folder keeps the refiner."""
_READY = 20
_BANK_EVERY = 10  # a covariance costs as much as a tenth of the step, and the bank moves slowly


@dataclass(frozen=True)
class RefinerOutput:
    """What is known of a batch of images before labels are written.

    Attributes:
        probs: (N, C, h, w) float32, the teacher's probabilities on cells.
        cells: the teacher's word on cells.
        emd: (N, 1, h, w) logits; None while the decoder is untrained or off.
        mask: (N, h, w) bool, the error mask on cells.
        pixel_mask: (N, H, W) bool, the error mask on pixels.
        votes: PLAR's result on cells.
    """

    probs: Tensor
    cells: TeacherPrediction
    emd: Tensor | None
    mask: Tensor
    pixel_mask: Tensor
    votes: PlarResult


class ActiveRefiner(nn.Module):
    """Finds errors of the teacher and mends what the feature space can decide (method, sections 3 and 4).

    Attributes:
        trained: steps that the decoder has been trained; below 20 it has no say.
        without_decoder: steps of training without one.
        threshold: of the decoder's error probability; kept with the model, yet always the configured one.
    """

    trained: Tensor
    without_decoder: Tensor
    threshold: Tensor

    def __init__(self, config: Config, classes: int, *, refining: bool) -> None:
        """Build decoder, weight module and class bank.

        Args:
            config: the whole configuration.
            classes: C.
            refining: whether ``refine`` mends pseudo-labels in training; else it only lets manual labels
                override them.
        """
        super().__init__()
        self.config = config
        self.classes = classes
        self.refining = refining
        kernel = 3 if config.preset == "paper" else 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.train.seed)
            self.emd = ErrorMaskDecoder(classes, first_kernel=kernel)
            self.weighting = DistanceWeights(config.plar.lambda_init)
        self.bank = ClassBank(classes, (FEATURES, FEATURES))
        self.register_buffer("trained", torch.zeros((), dtype=torch.int64))
        self.register_buffer("without_decoder", torch.zeros((), dtype=torch.int64))
        self.register_buffer("threshold", torch.tensor(config.emd.threshold or 0.5))

    def parameters_to_train(self) -> list[dict[str, Any]]:
        """AdamW's groups: decoder, and the weight module where λ is learned."""
        emd, plar_config = self.config.emd, self.config.plar
        groups = []
        if emd.enabled:
            groups.append({"params": self.emd.parameters(), "lr": emd.lr, "weight_decay": emd.weight_decay})
        if self._learns_weights:
            parameters = self.weighting.parameters()
            groups.append({"params": parameters, "lr": plar_config.weight_lr, "weight_decay": 0.0})
        return groups

    def training_loss(self, teacher: SegmenterOutput, target: Tensor, step_fraction: float) -> Tensor | None:
        """Decoder's and weight module's loss on images with known labels; None before their start.

        Args:
            teacher: output with features, float32.
            target: (B, H, W) uint8, 255 unknown.
            step_fraction: share of the training that is done.
        """
        if step_fraction < self.config.emd.start:
            return None
        assert teacher.f1 is not None
        assert teacher.f2 is not None
        labels = label_cells(target, self.config.plar.purity)
        if int(self.trained + self.without_decoder) % _BANK_EVERY == 0:
            self._update_bank(teacher, labels)
        probs = teacher.logits.softmax(1)
        pseudo = probs.argmax(1).to(torch.uint8)
        wrong, known = emd_target(pseudo, labels)
        losses = []
        logit = None
        if self.config.emd.enabled:
            logit = self.emd(teacher.f1, teacher.f2, probs)
            losses.append(emd_loss(logit, wrong.bool(), known))
            self.trained += 1
        else:
            self.without_decoder += 1
        if self._learns_weights:
            score = None if logit is None else logit.detach()[:, 0].sigmoid()
            mask = self._mask(probs.amax(1), score, known)
            losses.append(
                episodic_loss(
                    teacher.f1,
                    teacher.f2,
                    labels,
                    mask,
                    self._lambdas(teacher),
                    self.weighting.temperatures,
                    self.config.plar,
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
        """Labels and weights for L_t; see ``ssl.refiner.Refiner``."""
        if not self.refining:
            said = manual != IGNORE
            labels, nowhere = torch.where(said, manual.long(), pseudo), torch.zeros_like(said)
            return labels, conf.masked_fill(said, 1.0), nowhere
        output = self.mask_and_vote(teacher, pseudo != IGNORE, manual, conf, self.decode(teacher))
        written = self.merge(output, TeacherPrediction(pseudo.to(torch.uint8), conf), manual)
        weight = written.weight * written.conf
        refined = written.source == int(LabelSource.REFINED)
        if self.config.tsf.teacher_weighting == "ael":
            # It squares what it is given: confidences are meant so, a vote's margin is meant as it is.
            weight = torch.where(refined, weight.sqrt(), weight)
        counted = supported_by_labels(label_cells(manual, self.config.plar.purity), self.config.plar)
        return written.labels.long(), weight, refined & counted[:, None, None]

    @torch.no_grad()
    def decode(self, teacher: SegmenterOutput) -> Tensor | None:
        """The decoder's logits (N, 1, h, w) float32; None while it is untrained or off."""
        if not self.config.emd.enabled or int(self.trained) < _READY:
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
        """Error mask and votes of images.

        Args:
            teacher: output with features, float32.
            valid: (N, H, W) bool.
            manual: (N, H, W) uint8, 255 where no person labelled.
            conf: (N, H, W) the teacher's confidence on pixels.
            logit: from ``decode``.
        """
        assert teacher.f1 is not None
        assert teacher.f2 is not None
        probs = teacher.logits.softmax(1)
        cell_valid = cell_share(valid) >= 0.5
        cells = classify(probs, cell_valid)
        score = None if logit is None else logit[:, 0].sigmoid()
        by_hand = manual != IGNORE
        mask = self._mask(cells.conf, score, cell_valid & (cell_share(by_hand) == 0))
        size = (valid.shape[1], valid.shape[2])
        pixel_score = None if logit is None else emd_pixels(logit, size)
        pixel_mask = self._mask(conf, pixel_score, valid & ~by_hand)
        votes = self._votes(teacher, cells, mask, label_cells(manual, self.config.plar.purity))
        return RefinerOutput(probs, cells, logit, mask, pixel_mask, votes)

    def merge(self, output: RefinerOutput, pixels: TeacherPrediction, manual: Tensor) -> RefinedLabels:
        """Manual over agreed votes over pseudo-labels."""
        return merge_labels(pixels, output.pixel_mask, output.votes, manual, self.config.plar)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load, but for the threshold; a state of before steps without the decoder were counted has none."""
        count = f"{prefix}without_decoder"
        own = {count: state_dict.get(count, self.without_decoder), f"{prefix}threshold": self.threshold}
        super()._load_from_state_dict({**state_dict, **own}, prefix, *rest)

    @property
    def _learns_weights(self) -> bool:
        return self.config.plar.enabled and self.config.plar.lambda_mode == "learned"

    def _votes(
        self, teacher: SegmenterOutput, cells: TeacherPrediction, mask: Tensor, manual: Tensor
    ) -> PlarResult:
        assert teacher.f1 is not None
        assert teacher.f2 is not None
        asked = mask if self.config.plar.enabled else torch.zeros_like(mask)
        lambdas = self._lambdas(teacher)
        results = [
            plar(
                teacher.f1[i],
                teacher.f2[i],
                cells.pseudo[i],
                cells.conf[i],
                asked[i],
                manual[i],
                lambdas[i],
                self.config.plar,
                self.classes,
                self.bank,
            )
            for i in range(len(mask))
        ]
        return stack_results(results)

    def _lambdas(self, teacher: SegmenterOutput) -> Tensor:
        assert teacher.f1 is not None
        assert teacher.f2 is not None
        return self.weighting(teacher.f1.mean((2, 3)), teacher.f2.mean((2, 3)))

    def _mask(self, conf: Tensor, score: Tensor | None, keep: Tensor) -> Tensor:
        return error_mask(conf, score, keep, self.config.plar.confidence, float(self.threshold))

    def _update_bank(self, teacher: SegmenterOutput, labels: Tensor) -> None:
        assert teacher.f1 is not None
        assert teacher.f2 is not None
        for i in range(len(labels)):
            self.bank.update(teacher.f1[i], teacher.f2[i], labels[i])


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
