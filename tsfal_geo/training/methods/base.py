"""What the compared semi-supervised systems have in common (method, section 5)."""

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
class Joint:
    """What one network says about labelled images and others, which it saw as one batch.

    Attributes:
        output: the network's output on all of them, the labelled ones first.
        known: (B, C, H, W) float32 log-probabilities of the labelled images.
        rest: (M, C, H, W) of the others; M may be 0.
    """

    output: SegmenterOutput
    known: Tensor
    rest: Tensor


class SemiSupervised(SegmentationModule):
    """The labelled branch that all systems share, and the views of unlabelled chips.

    A subclass builds its networks and gives ``step_losses``. Without unlabelled chips every network learns
    from labelled ones alone.

    Attributes:
        WARMUP: share of the steps on labelled images alone, where ``tsf.warmup_steps`` says nothing.
        jitter: colour jitter by ``augment.colour``, as in TSF, for what a network is to see perturbed.
    """

    WARMUP: ClassVar[float] = 0.0

    def __init__(self, inputs: ModuleInputs) -> None:
        """Set up what is common; networks are the subclass's."""
        super().__init__(inputs)
        self.jitter = ColourJitter(inputs.config.augment.colour or 0.0, inputs.bands)
        self.unlabelled_chips = inputs.unlabelled_chips

    @property
    def warmup_steps(self) -> int:
        """Steps before unlabelled images count."""
        given = self.config.tsf.warmup_steps
        return round(self.WARMUP * self.schedule_steps) if given is None else given

    @property
    def warm(self) -> bool:
        """Whether the warm-up is over."""
        return self.steps_before + self._step >= self.warmup_steps

    @property
    def since_warmup(self) -> float:
        """Share of the steps after the warm-up that is done, by which ramps go."""
        start = self.warmup_steps
        return max(0.0, (self.steps_before + self._step - start) / max(1, self.schedule_steps - start))

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """The losses of a step that are summed, by name; those on labelled images begin with ``labelled``.

        Args:
            labelled: weak views with rare classes pasted in.
            unlabelled: weak views; their labels are what people said, 255 elsewhere.
            rng: the step's random numbers; PyTorch's are seeded as well.
        """
        raise NotImplementedError

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """The system's losses and their sum; in the warm-up unlabelled images are left out."""
        labelled = self.branch.paste(self.branch.views(batch["labelled"]), rng)
        if self.warm and "unlabelled" in batch:
            losses = self.step_losses(labelled, self.views(batch["unlabelled"]), rng)
        else:
            joints = {name: self.joint(network, labelled) for name, network in self.learners().items()}
            losses = {f"labelled_{name}": self.supervised(joint, labelled) for name, joint in joints.items()}
            self.update_bank(next(iter(joints.values())), labelled)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def views(self, batch: dict[str, Any]) -> Views:
        """The weak views of an unlabelled batch."""
        return make_views(batch, self.normaliser, self.branch.augment)

    def joint(
        self, network: nn.Module, labelled: Views, images: Tensor | None = None, features: bool = False
    ) -> Joint:
        """Pass labelled and other images (M, C, H, W) through a network as one batch."""
        every = labelled.images if images is None else torch.cat((labelled.images, images))
        output = network(self.prepared(every), features=features)
        log_p = log_probabilities(output.logits, labelled.size)
        count = len(labelled.images)
        return Joint(output, log_p[:count], log_p[count:])

    def supervised(self, joint: Joint, labelled: Views) -> Tensor:
        """The supervised loss of the labelled branch."""
        return self.branch.loss(joint.output, joint.known, labelled.labels)

    def update_bank(self, joint: Joint, labelled: Views) -> None:
        """Update the bank that copy-paste draws by; once a step, by the network that makes the map."""
        self.branch.bank.update(joint.known.detach(), labelled.labels)

    def strong(self, images: Tensor, valid: Tensor, rng: np.random.Generator) -> Tensor:
        """Colour-jittered images, repeatable by the step's random numbers."""
        return self.jitter(images, valid, generator=item_seeds(rng, len(images)))

    def mixing(self, base: Views, sampler: Sampler, rng: np.random.Generator) -> tuple[Views, Mixing]:
        """Partners and masks for CutMix.

        Partners are the batch's own images, each the next one's, so that labels of mixed images cost no pass
        more than those of the images themselves; a single image gets another chip as its partner.

        Returns:
            The views whose labels are mixed (the base images first), and how they are mixed.
        """
        count = len(base.images)
        if count == 1:
            base = base + self._another(rng)
        return base, draw_mixing(count, base.size, sampler, rng, self.device)

    @torch.no_grad()
    def label_logits(self, images: Tensor, *networks: nn.Module) -> list[Tensor]:
        """Stride-4 logits of networks in train mode, for labels that no gradient flows through."""
        images = self.prepared(images)
        logits = [network(images).logits for network in networks]
        # PyTorch 2.10 would reuse weights cast without gradients, and the training passes got none.
        torch.clear_autocast_cache()
        return logits

    def _another(self, rng: np.random.Generator) -> Views:
        sample = self.branch.source.partner(int(rng.integers(self.unlabelled_chips)))
        return self.views(collate([sample], rng, self.device))


class WithTeacher(SemiSupervised):
    """A student, and a teacher that is its moving average and makes the map.

    Attributes:
        DECAY: of the average, at most; the authors'.
        student: trained by SGD.
        teacher: in eval mode, without gradients.
    """

    DECAY: ClassVar[float] = 0.99

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build both."""
        super().__init__(inputs)
        self.student = inputs.network(0)
        self.teacher = EmaTeacher(self.student, self.DECAY)

    def begin(self, total_steps: int) -> None:
        """Start anew; the teacher's memory is at most a tenth of the training, as in TSF."""
        super().begin(total_steps)
        self.teacher.decay = bounded_decay(self.DECAY, self.schedule_steps)

    @property
    def predictor(self) -> Segmenter:
        """The teacher."""
        model: Segmenter = self.teacher.model  # type: ignore[assignment]
        return model

    def learners(self) -> dict[str, Segmenter]:
        """The student."""
        return {"student": self.student}

    def evaluated(self) -> dict[str, nn.Module]:
        """Both."""
        return {"teacher": self.teacher, "student": self.student}

    def after_step(self) -> None:
        """The teacher follows the student."""
        self.teacher.update(self.student)

    @torch.no_grad()
    def teach(self, views: Views, features: bool = False) -> SegmenterOutput:
        """The teacher's output on unmixed views."""
        output: SegmenterOutput = self.teacher(self.prepared(views.images), features=features)
        return output


def item_seeds(rng: np.random.Generator, count: int) -> Tensor:
    """(count,) int64 seeds on the CPU, one an image."""
    return torch.from_numpy(rng.integers(2**62, size=count))
