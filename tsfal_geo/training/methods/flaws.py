"""GCT's flaw detector and its maps (Ke et al. 2020): where a network's prediction is probably wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE

# The authors': kernels in parts of the image's side, μ 0.5, threshold below which a map shows no flaw, and
# above which (normalised) a pixel counts as bad.
_TARGET_BLUR, _TARGET_REBLUR, _MAP_BLUR = 8, 4, 16
_MU = 0.5
_CLIP = 0.1
BAD = 0.6
_WIDTH = 64


class FlawDetector(nn.Module):
    """Eight 4×4 convolutions on image ⊕ probabilities, to one value a pixel (about 1 where flawed).

    Batch norm on one half of the channels, instance norm on the other; the statistics are always the batch's,
    as the detector only serves in training.
    """

    def __init__(self, channels: int) -> None:
        """Take images and probabilities of ``channels`` channels in all."""
        super().__init__()
        layers: list[nn.Module] = []
        for width, stride in ((1, 2), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1)):
            outputs = width * _WIDTH
            layers += [nn.Conv2d(channels, outputs, 4, stride, 1), _HalfNorm(outputs), nn.LeakyReLU(0.2)]
            channels = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, 2, 1))

    def forward(self, images: Tensor, probabilities: Tensor) -> Tensor:
        """Flaw maps (N, H, W) float32 of images (N, bands, H, W) and probabilities (N, C, H, W)."""
        coarse = self.layers(torch.cat((images, probabilities), dim=1)).float()
        size = images.shape[-2:]
        return F.interpolate(coarse, size, mode="bilinear", align_corners=True)[:, 0]


class _HalfNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.batch = nn.BatchNorm2d(self.split, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.batch(x[:, : self.split]), F.instance_norm(x[:, self.split :])), dim=1)


@torch.no_grad()
def flaw_target(probabilities: Tensor, labels: Tensor) -> Tensor:
    """What the detector learns on labelled images: ½ Σ_c |onehot - p|, blurred, dilated, blurred, scaled.

    Args:
        probabilities: (N, C, H, W).
        labels: (N, H, W) int64 class indices; where 255 there is no flaw.

    Returns:
        (N, H, W) float32, each image's from 0 to 1.
    """
    known = labels != IGNORE
    of_truth = probabilities.gather(1, labels.masked_fill(~known, 0)[:, None])
    # Σ_c |onehot - p| is 2 (1 - p of the truth), as probabilities sum to 1.
    flaw = 2 * _MU * (1 - of_truth.float()) * known[:, None]
    flaw = _blur(flaw, _TARGET_BLUR)
    dilated = F.max_pool2d(F.pad(flaw, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return _normalised(_blur(dilated, _TARGET_REBLUR))[:, 0]


@torch.no_grad()
def smooth_flaws(flaws: Tensor) -> Tensor:
    """Predicted flaw maps (N, H, W), smoothed and scaled to [0, 1] each; 0 where a map is at most 0.1."""
    smooth = _blur(flaws.detach().float().clamp_min(0)[:, None], _MAP_BLUR)
    present = smooth.amax(dim=(1, 2, 3), keepdim=True) > _CLIP
    return (_normalised(smooth) * present)[:, 0]


def better_predictions(
    left: Tensor, right: Tensor, left_flaws: Tensor, right_flaws: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The target of each network: the other's prediction where that one's flaw is smaller, else its own.

    Where both are bad (above 0.6), the flaws count as equal and each keeps its own.

    Args:
        left: (N, C, H, W) probabilities.
        right: the other network's.
        left_flaws: (N, H, W) from `smooth_flaws`.
        right_flaws: the other network's.

    Returns:
        The left and the right network's target, (N, C, H, W), and where both are bad, (N, H, W) bool.
    """
    left_flaws, right_flaws = (flaws.masked_fill(flaws > BAD, 1.0) for flaws in (left_flaws, right_flaws))
    for_left = torch.where((right_flaws < left_flaws)[:, None], right, left)
    for_right = torch.where((left_flaws < right_flaws)[:, None], left, right)
    return for_left, for_right, (left_flaws == 1) & (right_flaws == 1)


def _blur(maps: Tensor, part: int) -> Tensor:
    """Gaussian blur of (N, 1, H, W), its odd kernel a part of the side; OpenCV's σ for that kernel."""
    side = maps.shape[-1] // part
    side += 1 - side % 2
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    with torch.autocast(maps.device.type, enabled=False):
        return gaussian_blur2d(maps, (side, side), (sigma, sigma))


def _normalised(maps: Tensor) -> Tensor:
    low, high = (values.view(-1, 1, 1, 1) for values in (maps.amin((1, 2, 3)), maps.amax((1, 2, 3))))
    return (maps - low) / (high - low + 1e-9)
