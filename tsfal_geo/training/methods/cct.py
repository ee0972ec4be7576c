"""Cross-Consistency Training (Ouali et al. 2020): decoders of perturbed features agree with the main one.

The authors' decoders are light: 1×1 convolutions and sub-pixel doubling on the encoder's output. Ours share
F1 as that output. Predictions are compared at stride 4, on the decoders' grid.
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

# The authors' weight, which ramps up over a tenth of the training.
WEIGHT = 30.0
RAMP = 0.1
# Two decoders a perturbation, as in the smaller setting of the authors' paper; their script has six of the
# cheap ones.
COPIES = 2
PERTURBATIONS = ("vat", "dropout", "cutout", "context", "objects", "attention", "noise")
_PROBE_SIZE = 64


@register("cct")
class Cct(SemiSupervised):
    """CCT: a network, and auxiliary decoders that learn from its predictions on unlabelled images.

    Attributes:
        network: makes the map.
        decoders: ``COPIES`` decoders by name of the perturbation.
    """

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the network, and the decoders from the training's seed."""
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
        """Return the network."""
        return {"network": self.network}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"network": self.network}

    def extra_groups(self) -> list[dict[str, object]]:
        """Return the decoders' parameters at the heads' rate."""
        return [{"params": list(self.decoders.parameters()), "factor": self.config.train.head_lr_mult}]

    @property
    def has_idle_parameters(self) -> bool:
        """True if some steps have no unlabelled images, and so no use for the decoders."""
        return self.unlabelled_chips == 0 or self.warmup_steps > 0

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup + 30 w(t) · mean over decoders of MSE(decoder, main) + CE of manual labels.

        Manual labels replace the main prediction in the decoders' target. The target is detached, so the main
        decoder learns manual labels by cross-entropy.
        """
        joint = self.joint(self.network, labelled, unlabelled.images, features=True)
        count = len(labelled.images)
        assert joint.output.f1 is not None
        stride = Segmenter.LOGIT_STRIDE
        centres = (slice(None), slice(stride // 2, None, stride), slice(stride // 2, None, stride))
        valid, at_centres = unlabelled.valid[centres], unlabelled.labels[centres]
        # The last cells are left out where their centres lie outside the image.
        inside = (..., slice(valid.shape[-2]), slice(valid.shape[-1]))
        logits = joint.output.logits[count:].detach().float()
        target = with_manual(logits[inside].softmax(dim=1), at_centres)
        errors = [
            squared_error(prediction[inside].float().softmax(dim=1), target, valid)
            for prediction in self._perturbed(joint.output.f1[count:].float(), logits.argmax(dim=1), rng)
        ]
        manual = unlabelled.labels.masked_fill(~unlabelled.valid, IGNORE)
        losses = {
            "labelled": self.supervised(joint, labelled),
            "consistency": WEIGHT * ramp_up(self.since_warmup, RAMP) * torch.stack(errors).mean(),
            "manual": cross_entropy(joint.unlabelled, manual),
        }
        self.update_bank(joint, labelled)
        return losses

    def _perturbed(self, f1: Tensor, classes: Tensor, rng: np.random.Generator) -> list[Tensor]:
        """Compute the logits of all decoders, each of its own perturbation of F1."""
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
        """Return F1's channels, and the number of doublings from its grid to that of the logits."""
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
        # ICNR (Aitken et al. 2017): equal weights for the four cells of a doubled one avoid a checkerboard.
        first = nn.init.kaiming_normal_(torch.empty(classes, classes, 1, 1))
        conv.weight.data.copy_(first.repeat_interleave(4, dim=0))
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        # Unlike the authors' decoders, ours apply no ReLU to the logits.
        layers += [conv, nn.PixelShuffle(2)] if last else [conv, nn.ReLU(), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)
