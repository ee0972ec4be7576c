"""GCT's flaw detector (Ke et al. 2020), which maps the places where a prediction is probably wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE

# The authors' constants. Sides of blur kernels are the image's side divided by these numbers. A map whose
# largest value is at most the clip shows no flaw; a pixel of a normalised map above BAD counts as bad.
_TARGET_BLUR, _TARGET_REBLUR, _MAP_BLUR = 8, 4, 16
_MU = 0.5
_CLIP = 0.1
BAD = 0.6
_WIDTH = 64


class FlawDetector(nn.Module):
    """Eight 4×4 convolutions on image ⊕ probabilities, to one value a pixel: about 1 where flawed, else 0.

    Half of the channels have batch norm, half instance norm. Batch norm always uses the batch's statistics,
    because the detector is used in training alone.
    """

    def __init__(self, channels: int) -> None:
        """Build the detector.

        Args:
            channels: of image and probabilities together.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for width, stride in ((1, 2), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1)):
            outputs = width * _WIDTH
            layers += [nn.Conv2d(channels, outputs, 4, stride, 1), _HalfNorm(outputs), nn.LeakyReLU(0.2)]
            channels = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, 2, 1))

    def forward(self, images: Tensor, probabilities: Tensor) -> Tensor:
        """Detect flaws.

        Args:
            images: (N, bands, H, W) normalised.
            probabilities: (N, C, H, W).

        Returns:
            (N, H, W) float32 flaw maps.
        """
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
    """Compute the detector's target on labelled images: ½ Σ_c |onehot − p|, blurred, dilated, blurred again.

    Args:
        probabilities: (N, C, H, W).
        labels: (N, H, W) int64 class indices; 255 (unlabelled) has no flaw.

    Returns:
        (N, H, W) float32, each image scaled to [0, 1].
    """
    labelled = labels != IGNORE
    of_truth = probabilities.gather(1, labels.masked_fill(~labelled, 0)[:, None])
    # Probabilities sum to 1, so Σ_c |onehot − p| = (1 − p_truth) + Σ_others p = 2 (1 − p_truth).
    flaw = 2 * _MU * (1 - of_truth.float()) * labelled[:, None]
    flaw = _blur(flaw, _TARGET_BLUR)
    dilated = F.max_pool2d(F.pad(flaw, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return _normalised(_blur(dilated, _TARGET_REBLUR))[:, 0]


@torch.no_grad()
def smooth_flaws(flaws: Tensor) -> Tensor:
    """Smooth predicted flaw maps and scale each to [0, 1].

    Args:
        flaws: (N, H, W) from the detector.

    Returns:
        (N, H, W) float32 without gradients; 0 throughout where a smooth map's largest value is at most 0.1.
    """
    smooth = _blur(flaws.detach().float().clamp_min(0)[:, None], _MAP_BLUR)
    present = smooth.amax(dim=(1, 2, 3), keepdim=True) > _CLIP
    return (_normalised(smooth) * present)[:, 0]


def better_predictions(
    left: Tensor, right: Tensor, left_flaws: Tensor, right_flaws: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose each network's target: the other's prediction where its flaw is smaller, else its own.

    Where both flaws exceed 0.6 they count as equal, and each network keeps its own prediction.

    Args:
        left: (N, C, H, W) probabilities of the left network.
        right: (N, C, H, W) probabilities of the right network.
        left_flaws: (N, H, W) from `smooth_flaws`.
        right_flaws: (N, H, W) from `smooth_flaws`.

    Returns:
        The targets of the left and the right network, (N, C, H, W) each, and a mask of the pixels where both
        flaws exceed 0.6, (N, H, W) bool.
    """
    left_flaws, right_flaws = (flaws.masked_fill(flaws > BAD, 1.0) for flaws in (left_flaws, right_flaws))
    for_left = torch.where((right_flaws < left_flaws)[:, None], right, left)
    for_right = torch.where((left_flaws < right_flaws)[:, None], left, right)
    return for_left, for_right, (left_flaws == 1) & (right_flaws == 1)


def _blur(maps: Tensor, part: int) -> Tensor:
    """Blur (N, 1, H, W) with a Gaussian kernel of an odd side near W / part, and OpenCV's σ for that side."""
    side = maps.shape[-1] // part
    side += 1 - side % 2
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    with torch.autocast(maps.device.type, enabled=False):
        return gaussian_blur2d(maps, (side, side), (sigma, sigma))


def _normalised(maps: Tensor) -> Tensor:
    low, high = (values.view(-1, 1, 1, 1) for values in (maps.amin((1, 2, 3)), maps.amax((1, 2, 3))))
    return (maps - low) / (high - low + 1e-9)
