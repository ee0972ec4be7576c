"""Cross-Consistency Training (Ouali et al. 2020): decoders of perturbed features agree with the main one.

Their decoders are light, 1×1 convolutions and sub-pixel doubling on the encoder's output; here the encoder's
output is F1, and all decoders share it. Predictions are compared at stride 4, where decoders give them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import cross_entropy, ramp_up
from tsfal_geo.training.methods import perturbations as perturb
from tsfal_geo.training.methods.base import SemiSupervised
from tsfal_geo.training.methods.targets import squared_error, with_manual
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors': weight 30, risen to over a tenth of the training, main prediction detached.
WEIGHT = 30.0
RAMP = 0.1


# Two decoders a perturbation, as in their paper's smaller setting (their script has six of the cheap ones).
COPIES = 2
PERTURBATIONS = ("vat", "dropout", "cutout", "context", "objects", "attention", "noise")
_PROBE_SIZE = 64


@register("cct")
class Cct(SemiSupervised):
    """A network, and auxiliary decoders that learn from its predictions on unlabelled images.

    Attributes:
        decoders: by name of the perturbation, ``COPIES`` each.
    """

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the network and the decoders, these from the run's seed."""
        super().__init__(inputs)
        self.network = inputs.network(0)
        width, doublings = self._f1()
        classes = len(self.class_names)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(inputs.config.train.seed)
            self.decoders = nn.ModuleDict(
                {
                    name: nn.ModuleList(_decoder(width, classes, doublings) for _ in range(COPIES))
                    for name in PERTURBATIONS
                }
            )

    @property
    def predictor(self) -> Segmenter:
        """The network."""
        return self.network

    def learners(self) -> dict[str, Segmenter]:
        """The network."""
        return {"network": self.network}

    def evaluated(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def extra_groups(self) -> list[dict[str, object]]:
        """The decoders learn like heads."""
        return [{"params": list(self.decoders.parameters()), "factor": self.config.train.head_lr_mult}]

    @property
    def has_idle_parameters(self) -> bool:
        """The decoders see unlabelled images only."""
        return self.unlabelled_chips == 0 or self.warmup_steps > 0

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """L_sup + w(t) · 30 · mean over decoders of MSE(decoder, main), and CE of what people said.

        People's labels replace the main prediction in the decoders' target; as that is detached, the main
        prediction learns them by cross-entropy.
        """
        joint = self.joint(self.network, labelled, unlabelled.images, features=True)
        count = len(labelled.images)
        assert joint.output.f1 is not None
        stride = Segmenter.LOGIT_STRIDE
        centres = (slice(None), slice(stride // 2, None, stride), slice(stride // 2, None, stride))
        valid, said = unlabelled.valid[centres], unlabelled.labels[centres]
        # A last cell whose centre lies past the image's edge is left out.
        seen = (..., slice(valid.shape[-2]), slice(valid.shape[-1]))
        logits = joint.output.logits[count:].detach().float()
        target = with_manual(logits[seen].softmax(dim=1), said)
        errors = [
            squared_error(prediction[seen].float().softmax(dim=1), target, valid)
            for prediction in self._perturbed(joint.output.f1[count:].float(), logits.argmax(dim=1), rng)
        ]
        manual = unlabelled.labels.masked_fill(~unlabelled.valid, IGNORE)
        losses = {
            "labelled": self.supervised(joint, labelled),
            "consistency": WEIGHT * ramp_up(self.since_warmup, RAMP) * torch.stack(errors).mean(),
            "manual": cross_entropy(joint.rest, manual),
        }
        self.update_bank(joint, labelled)
        return losses

    def _perturbed(self, f1: Tensor, classes: Tensor, rng: np.random.Generator) -> list[Tensor]:
        """Logits of all decoders, each of its own perturbation of F1."""
        objects = perturb.foreground(classes)
        changes: dict[str, Callable[[nn.Module], Tensor]] = {
            "vat": lambda decoder: self._adversarial(f1, decoder),
            "dropout": lambda _: perturb.dropout(f1),
            "cutout": lambda _: perturb.cut_out(f1, objects, rng),
            "context": lambda _: perturb.hide_context(f1, objects),
            "objects": lambda _: perturb.hide_objects(f1, objects),
            "attention": lambda _: perturb.drop_attended(f1, rng),
            "noise": lambda _: perturb.noise(f1),
        }
        return [
            decoder(change(decoder))
            for name, change in changes.items()
            for decoder in cast(nn.ModuleList, self.decoders[name])
        ]

    def _adversarial(self, f1: Tensor, decoder: nn.Module) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            return perturb.adversarial(f1, decoder)

    @torch.no_grad()
    def _f1(self) -> tuple[int, int]:
        """F1's channels, and how often its grid has to be doubled to that of the logits."""
        channels = self.normaliser.mean.shape[0]
        self.network.eval()
        output = self.network(torch.zeros(1, channels, _PROBE_SIZE, _PROBE_SIZE), features=True)
        self.network.train()
        assert output.f1 is not None
        factor = output.logits.shape[-1] // output.f1.shape[-1]
        return output.f1.shape[1], factor.bit_length() - 1


def _decoder(width: int, classes: int, doublings: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(width, classes, 1, bias=False)]
    nn.init.kaiming_normal_(layers[0].weight, nonlinearity="relu")  # type: ignore[arg-type]
    for last in [False] * (doublings - 1) + [True] * (doublings > 0):
        conv = nn.Conv2d(classes, 4 * classes, 1)
        # The four cells of a doubled one start alike (ICNR, Aitken et al. 2017): no checkerboard.
        first = nn.init.kaiming_normal_(torch.empty(classes, classes, 1, 1))
        conv.weight.data.copy_(first.repeat_interleave(4, dim=0))
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        # Unlike the authors' the logits themselves pass no ReLU.
        layers += [conv, nn.PixelShuffle(2)] if last else [conv, nn.ReLU(), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)
