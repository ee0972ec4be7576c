"""The common parts of the semi-supervised methods: warm-up, views of unlabelled chips, mixing, teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.data.augment import ColourJitter
from tsfal_geo.models.ema import EmaTeacher, bounded_decay
from tsfal_geo.models.segmenter import Segmenter, SegmenterOutput
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.methods.mixing import Mixing, Sampler, draw_mixing
from tsfal_geo.training.module import Losses, SegmentationModule
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.views import Views, collate, make_views


@dataclass(frozen=True)
class JointOutput:
    """A network's output on labelled and unlabelled images that passed through it as one batch.

    Attributes:
        output: the network's output on all images, the labelled ones first.
        labelled: (B, C, H, W) float32 log-probabilities of the labelled images.
        unlabelled: (M, C, H, W) float32 log-probabilities of the others; M may be 0.
    """

    output: SegmenterOutput
    labelled: Tensor
    unlabelled: Tensor


class SemiSupervised(SegmentationModule):
    """A method with the supervised branch and views of unlabelled chips.

    A subclass builds its networks and implements ``step_losses``. Without unlabelled chips every network
    learns from labelled chips alone.

    Attributes:
        WARMUP: share of the steps that use labelled images alone, where ``tsf.warmup_steps`` is not set.
        jitter: colour jitter of strength ``augment.colour``, for images that a network sees perturbed.
        unlabelled_chips: number of unlabelled chips.
    """

    WARMUP: ClassVar[float] = 0.0

    def __init__(self, inputs: ModuleInputs) -> None:
        """Set up everything but the networks."""
        super().__init__(inputs)
        self.jitter = ColourJitter(inputs.config.augment.colour or 0.0, inputs.bands)
        self.unlabelled_chips = inputs.unlabelled_chips

    @property
    def warmup_steps(self) -> int:
        """Steps of the schedule that use labelled images alone."""
        configured = self.config.tsf.warmup_steps
        return round(self.WARMUP * self.schedule_steps) if configured is None else configured

    @property
    def warm(self) -> bool:
        """True once the warm-up is over."""
        return self.steps_before + self._step >= self.warmup_steps

    @property
    def since_warmup(self) -> float:
        """Share of the steps after the warm-up that is done, 0 to 1; the argument of ramps."""
        start = self.warmup_steps
        return max(0.0, (self.steps_before + self._step - start) / max(1, self.schedule_steps - start))

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute the losses of a step after the warm-up.

        Args:
            labelled: weak views with rare classes pasted in.
            unlabelled: weak views; their labels are manual labels, 255 elsewhere.
            rng: the step's random numbers; PyTorch's generator is seeded for the step as well.

        Returns:
            The losses by name; their sum is minimised. Names of losses on labelled images begin with
            ``labelled``.
        """
        raise NotImplementedError

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """Compute the method's losses and their sum; the warm-up leaves unlabelled images out."""
        labelled = self.branch.paste(self.branch.views(batch["labelled"]), rng)
        if self.warm and "unlabelled" in batch:
            losses = self.step_losses(labelled, self.views(batch["unlabelled"]), rng)
        else:
            joints = {name: self.joint(network, labelled) for name, network in self.learners().items()}
            losses = {f"labelled_{name}": self.supervised(joint, labelled) for name, joint in joints.items()}
            self.update_bank(next(iter(joints.values())), labelled)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def views(self, batch: dict[str, Any]) -> Views:
        """Augment an unlabelled batch weakly and normalise it."""
        return make_views(batch, self.normaliser, self.branch.augment)

    def joint(
        self, network: nn.Module, labelled: Views, images: Tensor | None = None, features: bool = False
    ) -> JointOutput:
        """Pass labelled and other images through a network as one batch.

        Args:
            network: a segmenter.
            labelled: views of B labelled images.
            images: (M, C, H, W) further images; None: none.
            features: True to return F1 and F2 in the output too.
        """
        batch = labelled.images if images is None else torch.cat((labelled.images, images))
        output = network(self.prepared(batch), features=features)
        log_p = log_probabilities(output.logits, labelled.size)
        count = len(labelled.images)
        return JointOutput(output, log_p[:count], log_p[count:])

    def supervised(self, joint: JointOutput, labelled: Views) -> Tensor:
        """Compute L_sup (Ma, Karakus, Rosin 2025, eq. 1).

        Args:
            joint: output of a network.
            labelled: the labelled views that passed through it.

        Returns:
            A scalar.
        """
        return self.branch.loss(joint.output, joint.labelled, labelled.labels)

    def update_bank(self, joint: JointOutput, labelled: Views) -> None:
        """Update the confidence bank; called once a step.

        Args:
            joint: output of the step's first learner.
            labelled: the labelled views that passed through it.
        """
        self.branch.bank.update(joint.labelled.detach(), labelled.labels)

    def strong(self, images: Tensor, valid: Tensor, rng: np.random.Generator) -> Tensor:
        """Jitter the colours of images.

        Args:
            images: (B, C, H, W) float, normalised.
            valid: (B, H, W) bool; other pixels stay unchanged.
            rng: draws one seed an image.

        Returns:
            As ``images``.
        """
        return self.jitter(images, valid, generator=item_seeds(rng, len(images)))

    def mixing(self, base: Views, sampler: Sampler, rng: np.random.Generator) -> tuple[Views, Mixing]:
        """Draw partners and masks for CutMix.

        The partner of an image is the next image of the batch, so that the labels of both come from the same
        pass of the network. A single image gets another chip as its partner.

        Args:
            base: B views.
            sampler: draws the mask of one image.
            rng: the step's random numbers.

        Returns:
            The views that take part, the base images first, and the mixing of their maps.
        """
        count = len(base.images)
        if count == 1:
            base = base + self._another(rng)
        return base, draw_mixing(count, base.size, sampler, rng, self.device)

    @torch.no_grad()
    def label_logits(self, images: Tensor, *networks: nn.Module) -> list[Tensor]:
        """Compute stride-4 logits of networks in train mode, without gradients, for pseudo-labels.

        Args:
            images: (B, C, H, W) normalised.
            networks: segmenters.

        Returns:
            (B, C, h4, w4) a network.
        """
        images = self.prepared(images)
        logits = [network(images).logits for network in networks]
        # Autocast of PyTorch 2.10 caches the weights that it has cast. Those cast here carry no gradient, and
        # the training passes would reuse them.
        torch.clear_autocast_cache()
        return logits

    def _another(self, rng: np.random.Generator) -> Views:
        sample = self.branch.source.partner(int(rng.integers(self.unlabelled_chips)))
        return self.views(collate([sample], rng, self.device))


class WithTeacher(SemiSupervised):
    """A student, and a teacher that is its moving average and makes the map.

    Attributes:
        DECAY: the authors' decay of the average; short trainings use a smaller one.
        student: trained by ``train.optimiser``.
        teacher: the average, in eval mode and without gradients.
    """

    DECAY: ClassVar[float] = 0.99

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build student and teacher with the same weights."""
        super().__init__(inputs)
        self.student = inputs.network(0)
        self.teacher = EmaTeacher(self.student, self.DECAY)

    def begin(self, total_steps: int) -> None:
        """Start a training; the teacher's memory is at most a tenth of the schedule, as in TSF."""
        super().begin(total_steps)
        self.teacher.decay = bounded_decay(self.DECAY, self.schedule_steps)

    @property
    def predictor(self) -> Segmenter:
        """The teacher's network."""
        model: Segmenter = self.teacher.model  # type: ignore[assignment]
        return model

    def learners(self) -> dict[str, Segmenter]:
        """Return the student."""
        return {"student": self.student}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return teacher and student."""
        return {"teacher": self.teacher, "student": self.student}

    def after_step(self) -> None:
        """Move the teacher towards the student."""
        self.teacher.update(self.student)

    @torch.no_grad()
    def teach(self, views: Views, features: bool = False) -> SegmenterOutput:
        """Return the teacher's output on unmixed views, without gradients."""
        output: SegmenterOutput = self.teacher(self.prepared(views.images), features=features)
        return output


def item_seeds(rng: np.random.Generator, count: int) -> Tensor:
    """Draw one seed an image.

    Args:
        rng: the step's random numbers.
        count: number of images.

    Returns:
        (count,) int64 on the CPU.
    """
    return torch.from_numpy(rng.integers(2**62, size=count))
